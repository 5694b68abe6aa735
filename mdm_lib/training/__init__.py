"""Training: the objective, the stream of clips, the loop, and the folder that a run lives in."""

from mdm_lib.training.objective import TimestepLossAverage, learning_rate, masked_mse, training_loss
from mdm_lib.training.run_folder import Event, RunFolder, resume_point, run_training
from mdm_lib.training.stream import Batch, ClipStream, corrupt, fit_normaliser
from mdm_lib.training.trainer import NonFiniteLoss, Trainer, agreed, steps_for_epochs, train

__all__ = [
    "Batch",
    "ClipStream",
    "Event",
    "NonFiniteLoss",
    "RunFolder",
    "TimestepLossAverage",
    "Trainer",
    "agreed",
    "corrupt",
    "fit_normaliser",
    "learning_rate",
    "masked_mse",
    "resume_point",
    "run_training",
    "steps_for_epochs",
    "train",
    "training_loss",
]
