// The motion player: one small module for the Jupyter widget (`render`) and for exported pages (`mount`).
// Coordinates are metres with y up. Bones, sides, thickness, colours and rate come from Python: `body`, `fps`.

const HOME = { azimuth: -0.61, elevation: 0.3, zoom: 1 };
const GHOSTS = [1.2, 0.8, 0.4]; // seconds ago, the oldest first
const SMOOTH = 0.4; // seconds before and after over which the camera's path is smoothed
const INK = { lineCap: "round", lineJoin: "round", textAlign: "center", font: "11px system-ui, sans-serif" };
const SEND_EVERY = 200; // ms between two frame numbers sent to Python while playing
const TOGGLES = {
  loop: "Start again at the end", follow: "Camera goes along", trail: "Path over the floor", ghosts: "Earlier poses",
};
const PLAY = "M4 2l10 6-10 6z", PAUSE = "M3 2h4v12H3zM9 2h4v12H9z";

const STYLE = `
.mdm-player, .mdm-player * { box-sizing: border-box }
.mdm-player { max-width: 100%; font: 13px/1.4 system-ui, sans-serif; color: var(--mdm-ink) }
.mdm-player :focus-visible { outline: 2px solid var(--mdm-blue); outline-offset: 1px }
.mdm-title { font-size: 17px; margin-bottom: 8px } .mdm-title:empty { display: none }
.mdm-stage { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 4px;
  cursor: grab; touch-action: pan-y; user-select: none }
.mdm-panel { margin: 0; min-width: 0; display: flex; flex-direction: column; justify-content: end; text-align: center }
.mdm-panel canvas { width: 100%; height: var(--mdm-height) }
.mdm-panel span { overflow-wrap: anywhere }
.mdm-bar { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; margin-top: 6px; font-size: 12px }
.mdm-bar :is(button, select) { font: inherit; color: var(--mdm-faint); cursor: pointer; height: 26px; padding: 0 9px;
  background: none; border: 1px solid var(--mdm-line); border-radius: 13px }
.mdm-bar [aria-pressed=true] { border-color: var(--mdm-blue); color: var(--mdm-blue) }
.mdm-bar .mdm-play { width: 34px; height: 34px; border: 0; border-radius: 17px; background: var(--mdm-blue) }
.mdm-play svg { display: block }
.mdm-play path { fill: var(--mdm-paper) }
.mdm-scrub { flex: 1; min-width: 90px; accent-color: var(--mdm-blue) }
.mdm-time, .mdm-key { color: var(--mdm-faint); font-variant-numeric: tabular-nums; white-space: nowrap }
.mdm-key { margin-left: auto }
.mdm-player i { display: inline-block; width: 9px; height: 9px; border-radius: 5px; margin: 0 5px 0 10px }
.mdm-key i { width: 20px; border: 2px solid var(--mdm-blue); background: var(--mdm-blue) }
.mdm-key i + i { border-color: var(--mdm-red); background: none }`;

const MARKUP = `<style>${STYLE}</style><div class="mdm-title"></div>
<div class="mdm-stage" tabindex="0" role="group" title="Drag to turn, double-click to reset"></div>
<div class="mdm-bar"><button class="mdm-play"><svg viewBox="0 0 16 16" width="16" height="16"><path/></svg></button>
<input class="mdm-scrub" type="range" min="0" aria-label="Frame"><span class="mdm-time"></span></div>
<div class="mdm-bar"><select class="mdm-speed" aria-label="Speed" title="Speed">
${[0.25, 0.5, 1, 2].map((x) => `<option value="${x}">${x}\u00d7</option>`)}</select>
${Object.keys(TOGGLES).map((name) => `<button class="mdm-${name}" title="${TOGGLES[name]}">${name}</button>`).join("")}
<span class="mdm-key"><i></i>left<i></i>right</span></div>`;

const PANEL = '<figure class="mdm-panel"><figcaption></figcaption><canvas role="img"></canvas></figure>';

const mix = (from, to, part) => from.map((c, i) => c + (to[i] - c) * part);
const css = ([r, g, b]) => `rgb(${Math.round(r)},${Math.round(g)},${Math.round(b)})`;
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const range = (count) => [...Array(count).keys()];
const circle = (radius, count) =>
  range(count).map((i) => [Math.cos, Math.sin].map((wave) => radius * wave((2 * Math.PI * i) / count)));

// Colours from the actual background of the player, so that JupyterLab's themes and any page work.
function findTheme(el, body) {
  let paper = [255, 255, 255];
  for (let node = el; node; node = node.parentElement) {
    const [r, g, b, alpha = 1] = getComputedStyle(node).backgroundColor.match(/[\d.]+/g).map(Number);
    if (alpha > 0.5) { paper = [r, g, b]; break; }
  }
  const dark = paper[1] < 128, ink = dark ? [228, 231, 236] : [36, 40, 48];
  const [left, right] = [body.left, body.right].map((colour) => mix(colour, [255, 255, 255], dark ? 0.25 : 0));
  const shade = (part) => css(mix(paper, ink, part));
  return {
    dark, paper, left, right, ink: css(ink), faint: shade(0.65), floor: shade(0.05), grid: shade(0.12),
    metre: shade(0.27), shadow: shade(0.17),
    // trunk colours of overlaid people: grey, purple, green, amber
    people: [mix(ink, paper, 0.15), [170, 90, 140], [0, 140, 100], [200, 140, 0]],
  };
}

function readMotion(model) {
  const scene = model.get("_scene"), data = model.get("_data");
  return { ...scene, joints: range(data.byteLength / 2).map((i) => data.getInt16(2 * i, true) * scene.unit) };
}

// Joint j of motion n, interpolated between frames while playing. After its end a motion keeps its last pose.
function jointAt({ joints, frames, body }, n, time, j) {
  const frame = Math.floor(time), size = 3 * body.joints;
  const at = size * (n * frames + frame) + 3 * j, next = frame + 1 < frames ? at + size : at;
  const between = (i) => joints[at + i] + (joints[next + i] - joints[at + i]) * (time - frame);
  return [between(0), between(1), between(2)];
}

// The camera's aim on the floor for each frame: the root's smoothed path, or that path's centre.
function findAim(motion, members, follow) {
  const mean = (points) => range(3).map((i) => points.reduce((sum, p) => sum + p[i], 0) / points.length);
  const path = range(motion.frames).map((f) => {
    const [x, , z] = mean(members.map((n) => jointAt(motion, n, f, 0)));
    return [x, 0, z];
  });
  const ends = [Math.min, Math.max].map((most) => range(3).map((i) => most(...path.map((p) => p[i]))));
  return path.map((_, f) => { // the window is symmetric, so the camera does not lag, not even at the ends
    const half = Math.min(Math.round(SMOOTH * motion.fps), f, path.length - 1 - f);
    return mean(follow ? path.slice(f - half, f + half + 1) : ends);
  });
}

const framesAgo = ({ fps }) => GHOSTS.map((seconds) => Math.round(seconds * fps));

// A cylinder around the aim that contains every person in every frame, for any camera direction.
function measure(motion, panels, ghosts) {
  const room = { radius: 0.4, low: 0, high: 0 }, { joints, head, radius, headRadius, headRise } = motion.body;
  const include = (n, f, aim) => range(joints).forEach((j) => {
    const [x, y, z] = jointAt(motion, n, f, j);
    room.radius = Math.max(room.radius, Math.hypot(x - aim[0], z - aim[2]) + 0.05);
    room.low = Math.min(room.low, y - radius);
    room.high = Math.max(room.high, y + (j === head ? headRadius + headRise : radius));
  });
  for (const { members, path } of panels)
    for (const n of members)
      for (const ago of ghosts ? [0, ...framesAgo(motion)] : [0])
        path.forEach((at, f) => f >= ago && include(n, f - ago, at));
  return room;
}

// After an update the scale is kept if the new motion roughly fills it, so that the view does not jump.
function keepScale(old, fresh) {
  const size = ({ radius, low, high }) => Math.max(2 * radius, high - low);
  if (!old || size(fresh) < 0.6 * size(old)) return fresh;
  return {
    radius: Math.max(old.radius, fresh.radius), low: Math.min(old.low, fresh.low), high: Math.max(old.high, fresh.high),
  };
}

// A function from metres in the world to { x, y, scale, near } in the picture, so that the whole cylinder fits.
function makeCamera({ azimuth, elevation, zoom }, { radius, low, high }, aim, width, height) {
  const [ca, sa, ce, se] = [azimuth, elevation].flatMap((angle) => [Math.cos(angle), Math.sin(angle)]);
  const distance = Math.max(7, 4 * radius, 2 * high);
  const see = (across, y, ahead) => { // mild perspective
    const near = y * se + ahead * ce, grow = distance / (distance - near);
    return [across * grow, (ahead * se - y * ce) * grow, grow, near];
  };
  const rim = circle(radius, 16).flatMap(([x, z]) => [see(x, low, z), see(x, high, z)]);
  const xs = rim.map((p) => p[0]), ys = rim.map((p) => p[1]), top = Math.min(...ys), bottom = Math.max(...ys);
  // the margin is for the metre marks
  const scale = zoom * Math.min((width - 40) / (2 * Math.max(...xs)), (height - 40) / (bottom - top));
  const middle = height / 2 - scale * (top + bottom) / 2;
  return ([px, y, pz]) => {
    const x = px - aim[0], z = pz - aim[2], seen = see(x * ca - z * sa, y, x * sa + z * ca);
    return { x: width / 2 + scale * seen[0], y: middle + scale * seen[1], scale: scale * seen[2], near: seen[3] };
  };
}

function trace(ctx, points) {
  ctx.beginPath();
  for (const p of points) ctx.lineTo(p.x, p.y);
}

function drawLine(ctx, points, width, colour) {
  trace(ctx, points);
  ctx.lineWidth = width;
  ctx.strokeStyle = colour;
  ctx.stroke();
}

function drawShape(ctx, points, colour) {
  trace(ctx, points);
  ctx.fillStyle = colour;
  ctx.fill();
}

function drawDisc(ctx, { x, y }, radius, colour) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 7);
  ctx.fillStyle = colour;
  ctx.fill();
}

// A round piece of floor under the aim. Its lines are fixed in the world; whole metres are darker and labelled.
function drawFloor({ ctx, camera, theme, radius, aim, width }) {
  drawShape(ctx, circle(radius, 64).map(([x, z]) => camera([aim[0] + x, 0, aim[2] + z])), theme.floor);
  const step = 0.5 * 2 ** Math.max(0, Math.ceil(Math.log2(radius / 4)));
  const marks = [];
  for (const [axis, other] of [[0, 2], [2, 0]])
    for (let line = Math.ceil((aim[axis] - radius) / step); line * step < aim[axis] + radius; line++) {
      const off = line * step - aim[axis], along = Math.sqrt(radius ** 2 - off ** 2);
      const end = (a) => camera(Object.assign([0, 0, 0], { [axis]: line * step, [other]: aim[other] + a }));
      const ends = [end(along), end(-along)];
      drawLine(ctx, ends, 1, line % 2 ? theme.grid : theme.metre);
      if (line % 2 || Math.abs(off) > 0.75 * radius) continue;
      const [far, near] = ends.sort((p, q) => p.near - q.near), dx = near.x - far.x, dy = near.y - far.y;
      const beyond = 12 / Math.hypot(dx, dy);
      const mark = { x: clamp(near.x + beyond * dx, 18, width - 18), y: near.y + beyond * dy + 4 };
      if (marks.some(({ x, y }) => Math.abs(x - mark.x) < 36 && Math.abs(y - mark.y) < 13)) continue;
      marks.push(mark);
      ctx.fillStyle = theme.faint;
      ctx.fillText(`${line * step} m`, mark.x, mark.y);
    }
}

// The root's path over the floor up to now, within the drawn floor.
function drawTrail({ ctx, motion, camera, theme, radius, aim }, n, time) {
  const path = range(Math.min(Math.floor(time), motion.lengths[n] - 1) + 1).map((f) => jointAt(motion, n, f, 0));
  const seen = path.filter(([x, , z]) => Math.hypot(x - aim[0], z - aim[2]) < radius);
  drawLine(ctx, seen.map(([x, , z]) => camera([x, 0, z])), 2.5, theme.faint);
}

// A flat figure: a shadow or a ghost.
function drawSilhouette(ctx, body, points, colourOf, width) {
  for (const [a, b, side] of body.bones) drawLine(ctx, [points[a], points[b]], width * points[0].scale, colourOf(side));
}

function drawTrunk(ctx, body, points, colour) {
  const corners = body.torso.map((j) => points[j]);
  if (!corners.length) return;
  drawLine(ctx, [...corners, corners[0]], 2 * body.radius * points[0].scale, colour);
  drawShape(ctx, corners, colour);
}

// Limbs have a thin outline in the background colour, which separates crossing ones; right limbs are hollow.
function drawBone(ctx, body, side, a, b, colour, paper) {
  const width = body.radius * (a.scale + b.scale), edge = Math.max(body.edge * (a.scale + b.scale), 2);
  const along = (part) => ({ x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part });
  if (side === "centre") return drawLine(ctx, [a, b], 0.6 * width, colour);
  drawLine(ctx, [along(0.25), along(0.75)], width + edge, paper);
  drawLine(ctx, [a, b], width, colour);
  if (side === "right") drawLine(ctx, [a, b], width - edge, paper);
}

// The head's centre is above its joint.
function drawHead(ctx, { headRadius, headRise, edge }, neck, head, colour, paper) {
  const rise = headRise * head.scale / Math.max(Math.hypot(head.x - neck.x, head.y - neck.y), 1);
  const middle = { x: head.x + rise * (head.x - neck.x), y: head.y + rise * (head.y - neck.y) };
  drawDisc(ctx, middle, (headRadius + edge) * head.scale, paper);
  drawDisc(ctx, middle, headRadius * head.scale, colour);
}

// The parts of a person, each with its depth, to be drawn from far to near; far limbs are paler.
function partsOf({ ctx, motion, theme }, points, trunkColour, ended) {
  const { body } = motion, paper = css(theme.paper);
  const faded = (colour, part) => css(mix(colour, theme.paper, ended ? 0.5 + part / 2 : part));
  const parts = body.bones.map(([a, b, side]) => {
    const near = (points[a].near + points[b].near) / 2, far = clamp((points[0].near - near) / 2 + 0.2, 0, 0.4);
    const colour = side === "centre" ? faded(trunkColour, 0) : faded(theme[side], far);
    return { near, side, draw() {
      drawBone(ctx, body, side, points[a], points[b], colour, paper);
      if (b === body.head) drawHead(ctx, body, points[a], points[b], colour, paper);
    } };
  });
  const spine = parts.filter((part) => part.side === "centre").map((part) => part.near);
  const near = spine.length ? Math.min(...spine) - 0.01 : -Infinity;
  const trunk = { near, draw: () => drawTrunk(ctx, body, points, faded(trunkColour, 0.7)) };
  return [...parts, trunk];
}

function drawGhosts({ ctx, motion, theme }, time, pointsAt, trunk) {
  framesAgo(motion).forEach((ago, i) => {
    if (time < ago) return;
    const points = pointsAt(time - ago), pale = (side) => css(mix(theme.paper, theme[side] ?? trunk, 0.16 + 0.1 * i));
    const { head, headRadius, radius } = motion.body;
    drawSilhouette(ctx, motion.body, points, pale, radius);
    if (head >= 0) drawDisc(ctx, points[head], 0.6 * headRadius * points[0].scale, pale("centre"));
  });
}

function drawPanel(panel, motion, time, shown, theme) {
  const { ctx, camera, members } = panel, { body, lengths } = motion, scene = { ...panel, motion, theme };
  const poseAt = (n, then) => range(body.joints).map((j) => jointAt(motion, n, then, j));
  drawFloor(scene);
  const parts = members.flatMap((n, i) => {
    const trunk = theme.people[i % 4], pose = poseAt(n, time), shadow = pose.map(([x, , z]) => camera([x, 0, z]));
    drawSilhouette(ctx, body, shadow, () => theme.shadow, 2 * body.radius);
    drawTrunk(ctx, body, shadow, theme.shadow);
    if (shown.trail) drawTrail(scene, n, time);
    if (shown.ghosts) drawGhosts(scene, Math.min(time, lengths[n] - 1), (then) => poseAt(n, then).map(camera), trunk);
    return partsOf(scene, pose.map(camera), trunk, time >= lengths[n]);
  });
  for (const part of parts.sort((p, q) => p.near - q.near)) part.draw();
}

class Player {
  constructor(model, el) {
    Object.assign(this, { model, time: model.get("frame"), view: HOME, panels: [], pointers: new Map(), sent: 0 });
    this.root = document.createElement("div");
    this.root.className = "mdm-player";
    this.root.innerHTML = MARKUP;
    el.append(this.root);
    this.parts = Object.fromEntries(["title", "stage", "play", "scrub", "time", "speed", ...Object.keys(TOGGLES)].map(
      (name) => [name, this.root.querySelector(`.mdm-${name}`)]));
    // otherwise JupyterLab's shortcuts take the arrow keys; it checks the focused element for this attribute
    for (const part of Object.values(this.parts)) part.dataset.lmSuppressShortcuts = "true";
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.set("playing", false);
    this.load();
    this.listen();
  }

  get(name) { return this.model.get(name); }

  set(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  // Everything that is connected here is disconnected by `remove`.
  listen() {
    const { stage, scrub, speed, play } = this.parts, stop = new AbortController();
    const on = (target, names, act) => {
      for (const name of names.split(" ")) target.addEventListener(name, act, { signal: stop.signal });
    };
    const load = () => this.load(), measure = () => this.measure(), request = () => this.request();
    const changes = {
      _scene: load, _data: load, follow: measure, ghosts: measure, trail: request, loop: request, speed: request,
      frame: () => this.heardFrame(), playing: () => this.heardPlaying(),
    };
    for (const name in changes) this.model.on(`change:${name}`, changes[name]);
    for (const name in TOGGLES) on(this.parts[name], "click", () => this.set(name, !this.get(name)));
    on(play, "click", () => this.toggle());
    on(scrub, "input", () => this.seek(+scrub.value));
    on(speed, "change", () => this.set("speed", +speed.value));
    on(this.root, "keydown", (event) => this.press(event));
    on(stage, "pointerdown pointermove pointerup pointercancel", (event) => this.point(event));
    on(stage, "wheel", (event) => this.wheel(event));
    on(stage, "dblclick", () => { this.view = HOME; this.measure(); });
    const dress = () => { this.theme = null; this.request(); };
    on(matchMedia("(prefers-color-scheme: dark)"), "change", dress);
    const themes = new MutationObserver(dress), sizes = new ResizeObserver(() => this.draw());
    const sight = new IntersectionObserver((seen) => { this.hidden = !seen.at(-1).isIntersecting; this.request(); });
    themes.observe(document.body, { attributes: true });
    sizes.observe(stage);
    sight.observe(this.root);
    this.remove = () => {
      stop.abort();
      for (const observer of [themes, sizes, sight]) observer.disconnect();
      for (const name in changes) this.model.off(`change:${name}`, changes[name]);
      cancelAnimationFrame(this.requested);
      this.root.remove();
    };
  }

  // New data: the canvases are reused unless their number changes.
  load() {
    this.motion = readMotion(this.model);
    const { body, lengths, layout, title, captions, frames } = this.motion, { stage } = this.parts;
    const everyone = range(lengths.length), groups = layout === "overlay" ? [everyone] : everyone.map((n) => [n]);
    if (groups.length !== this.panels.length) {
      stage.innerHTML = PANEL.repeat(groups.length);
      this.panels = [...stage.children].map(({ children: [caption, canvas] }) => (
        { caption, canvas, ctx: canvas.getContext("2d") }));
      this.root.style.width = `${groups.length > 1 ? Math.min(groups.length, 4) * 280 : 520}px`;
      this.root.style.setProperty("--mdm-height", groups.length > 1 ? "270px" : "360px");
    }
    this.panels.forEach((panel, i) => {
      panel.members = groups[i];
      panel.canvas.ariaLabel = `Skeleton ${groups[i].map((n) => captions[n])}`;
      const label = groups[i].length > 1 ? "<i></i><span></span>" : "<span></span>"; // captions are set as text only
      panel.caption.innerHTML = label.repeat(groups[i].length);
      panel.caption.querySelectorAll("span").forEach((label, k) => (label.textContent = captions[groups[i][k]]));
    });
    this.parts.title.textContent = title;
    stage.ariaLabel = `${title} ${captions}. Drag to turn, space plays, arrow keys step`;
    this.parts.scrub.max = frames - 1;
    this.time = Math.min(this.time, frames - 1);
    this.theme = null;
    this.measure(this.room);
  }

  measure(old) {
    for (const panel of this.panels) panel.path = findAim(this.motion, panel.members, this.get("follow"));
    this.room = keepScale(old, measure(this.motion, this.panels, this.get("ghosts")));
    this.request();
  }

  request() {
    this.requested ||= requestAnimationFrame((now) => this.step(now));
  }

  step(now) {
    this.requested = 0;
    const playing = this.get("playing") && !this.hidden; // the clock stops when out of view
    if (playing) {
      this.advance(Math.min(now - (this.last ?? now), 250)); // no jump after the tab was inactive
      this.request();
    }
    this.last = playing ? now : null;
    this.draw();
  }

  advance(ms) {
    const { frames, fps } = this.motion;
    this.time += ms / 1000 * fps * this.get("speed");
    if (this.time >= frames && !this.get("loop")) return this.seek(frames - 1);
    this.time %= frames;
    if (performance.now() - this.sent > SEND_EVERY) {
      this.model.set("_ticks", (this.get("_ticks") ?? 0) + 1); // marks the report as the clock's, not the reader's
      this.send();
    }
  }

  send() {
    this.sent = performance.now();
    this.set("frame", Math.floor(this.time));
  }

  toggle() {
    if (this.get("playing")) this.seek(Math.floor(this.time));
    else this.set("playing", true);
  }

  seek(frame) {
    this.time = clamp(frame, 0, this.motion.frames - 1);
    this.set("playing", false);
    this.send();
    this.request();
  }

  // From Python, from another view of this widget, or from ourselves.
  heardFrame() {
    const frame = this.get("frame");
    this.sent = performance.now(); // of several playing views, only one reports
    if (!this.get("playing") || Math.abs(frame - this.time) > 2) this.time = frame;
    this.request();
  }

  heardPlaying() {
    this.time = Math.floor(this.time);
    if (this.get("playing")) this.time %= this.motion.frames - 1 || 1; // at the end, start again
    // tell Python where it stopped, after any frame that Python set along with the pause has arrived
    else setTimeout(() => this.get("playing") || this.send(), 100);
    this.request();
  }

  press(event) {
    const { target, key } = event, now = Math.floor(this.time);
    const frame = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: this.motion.frames - 1 }[key];
    if (target.tagName === "SELECT" || event.altKey || event.ctrlKey || event.metaKey) return;
    if (frame !== undefined) this.seek(frame);
    else if (key === " " && target.tagName !== "BUTTON") this.toggle();
    else return;
    event.preventDefault();
  }

  // One pointer rotates, two zoom.
  point({ type, pointerId, clientX, clientY }) {
    const { pointers } = this, old = pointers.get(pointerId), spread = () => {
      const [a, b] = pointers.values();
      return b ? Math.hypot(a[0] - b[0], a[1] - b[1]) + 1 : 1;
    };
    if (type === "pointerdown") this.parts.stage.setPointerCapture(pointerId);
    else if (!old) return;
    const before = spread();
    if (type === "pointerdown" || type === "pointermove") pointers.set(pointerId, [clientX, clientY]);
    else pointers.delete(pointerId);
    if (type !== "pointermove") return;
    if (pointers.size > 1) this.turn(0, 0, spread() / before);
    else this.turn(clientX - old[0], clientY - old[1], 1);
  }

  // The wheel scrolls the page unless the player was clicked.
  wheel(event) {
    if (!event.ctrlKey && document.activeElement !== this.parts.stage) return;
    event.preventDefault();
    this.turn(0, 0, Math.exp(-event.deltaY / 400));
  }

  turn(right, down, closer) {
    const { azimuth, elevation, zoom } = this.view;
    this.view = {
      azimuth: azimuth - right / 100,
      elevation: clamp(elevation + down / 150, 0, 1.5),
      zoom: clamp(zoom * closer, 0.5, 5),
    };
    this.request();
  }

  draw() {
    this.theme ??= this.dress();
    const shown = { trail: this.get("trail"), ghosts: this.get("ghosts") }, ratio = devicePixelRatio;
    const frame = Math.floor(this.time);
    for (const panel of this.panels) {
      const { canvas, ctx, path } = panel, { clientWidth: width, clientHeight: height } = canvas;
      const pixels = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
      if (canvas.width !== pixels.width || canvas.height !== pixels.height) Object.assign(canvas, pixels);
      ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
      ctx.clearRect(0, 0, width, height);
      Object.assign(ctx, INK);
      panel.aim = mix(path[frame], path[Math.min(frame + 1, path.length - 1)], this.time - frame);
      panel.camera = makeCamera(this.view, this.room, panel.aim, width, height);
      Object.assign(panel, { radius: this.room.radius, width });
      drawPanel(panel, this.motion, this.time, shown, this.theme);
    }
    this.showControls();
  }

  // Text and controls in the colours of the page.
  dress() {
    const theme = findTheme(this.root, this.motion.body), { style } = this.root;
    style.colorScheme = theme.dark ? "dark" : "light";
    const colours = {
      paper: css(theme.paper), ink: theme.ink, faint: theme.faint, line: theme.metre,
      blue: css(theme.left), red: css(theme.right),
    };
    for (const name in colours) style.setProperty(`--mdm-${name}`, colours[name]);
    this.root.querySelectorAll("figcaption i").forEach((dot, i) => (dot.style.background = css(theme.people[i % 4])));
    return theme;
  }

  showControls() {
    const { frames, fps } = this.motion, { play, scrub, time, speed } = this.parts, playing = this.get("playing");
    const frame = Math.floor(this.time), text = `${(frame / fps).toFixed(2)} / ${(frames / fps).toFixed(2)} s`;
    scrub.value = frame;
    scrub.ariaValueText = time.textContent = text;
    play.title = play.ariaLabel = playing ? "Pause" : "Play";
    play.querySelector("path").setAttribute("d", playing ? PAUSE : PLAY);
    speed.value = this.get("speed");
    for (const name in TOGGLES) this.parts[name].ariaPressed = this.get(name);
  }
}

// In an exported page: the part of a widget's model that the player needs.
function pageModel(state) {
  const heard = [];
  return {
    get: (name) => state[name],
    set(name, value) {
      const old = state[name];
      state[name] = value;
      if (old !== value) heard.forEach(([event, act]) => event === `change:${name}` && act());
    },
    on: (...listener) => heard.push(listener),
    off() {},
    save_changes() {},
  };
}

// Into the first element of that id that is still empty: a page may hold the same player twice.
export function mount(id, state) {
  const bytes = Uint8Array.from(atob(state._data), (c) => c.charCodeAt(0));
  return new Player(pageModel({ ...state, _data: new DataView(bytes.buffer) }), document.querySelector(`#${id}:empty`));
}

export default {
  render({ model, el }) {
    const player = new Player(model, el);
    return () => player.remove();
  },
};
