"""How long the data takes to be there: the synthetic clips, and real ones where MDM_REAL_DATA names a prepared file."""

import os
import statistics
import time

from common import describe

from mdm_lib import load_clips


def main():
    print(describe(), "\n")
    print("| data | clips | seconds, median of 3 | goal |\n|---|---|---|---|")
    real = os.environ.get("MDM_REAL_DATA")
    sets = [("synthetic", "synthetic:1200", "< 10")] + ([("real", f"bandai:{real}", "–")] if real else [])
    for name, spec, goal in sets:
        seconds = []
        for _ in range(3):
            begun = time.perf_counter()
            clips = load_clips(spec)
            seconds.append(time.perf_counter() - begun)
        print(f"| {name} | {len(clips):,} | {statistics.median(seconds):.1f} | {goal} |")


if __name__ == "__main__":
    main()
