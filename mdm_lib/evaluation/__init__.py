"""How good motions are: measures, the judge that applies them beside real motion, and the scorecard."""

from importlib import import_module

from mdm_lib.evaluation.action2motion import Action2Motion, load_action2motion
from mdm_lib.evaluation.judge import MAX_SAMPLES, MEASURES, Judge, Measure, evaluate, judge_for, samples_per_action
from mdm_lib.evaluation.measures import (
    accuracy,
    diversity,
    frechet_distance,
    gaussian_distance,
    ks_distance,
    moments,
    multimodality,
)
from mdm_lib.evaluation.memory import Nearest, nearest_clip
from mdm_lib.evaluation.papers import evaluate_as_papers
from mdm_lib.evaluation.physics import (
    bone_drift,
    floor_penetration,
    joint_jerk,
    joint_speed,
    lowest_point,
    skating_ratio,
)
from mdm_lib.evaluation.recogniser import Recogniser, body_view, load_recogniser, train_recogniser
from mdm_lib.evaluation.scorecard import Scorecard, summarise

__all__ = [
    "MAX_SAMPLES",
    "MEASURES",
    "Action2Motion",
    "Judge",
    "Measure",
    "Nearest",
    "Recogniser",
    "Scorecard",
    "accuracy",
    "body_view",
    "bone_drift",
    "diversity",
    "evaluate",
    "evaluate_as_papers",
    "floor_penetration",
    "frechet_distance",
    "gaussian_distance",
    "joint_jerk",
    "joint_speed",
    "judge_for",
    "ks_distance",
    "load_action2motion",
    "load_recogniser",
    "lowest_point",
    "moments",
    "multimodality",
    "nearest_clip",
    "samples_per_action",
    "skating_ratio",
    "summarise",
    "train_recogniser",
]


#: What loads a larger library is loaded when it is asked for: the film strip needs neither of them.
_LATER = {
    "draw_scores": "mdm_lib.evaluation.score_table",
    "steps_away": "mdm_lib.evaluation.score_table",
}


def __getattr__(name: str):
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
