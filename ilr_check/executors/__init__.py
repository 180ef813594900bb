"""Where the units of a run are judged: in processes of this machine, or by Ray, Dask, submitit or an executor
of the user.

A unit travels to its worker as plain values, and its judgement travels back as one. Only the main process
writes to the run folder, so workers need no file system in common.
"""

from ilr_check.executors.away import Executor, ExecutorError
from ilr_check.executors.dispatch import Dispatch, WorkerError, WorkersKilled
from ilr_check.executors.named import opened, remote

__all__ = ["Dispatch", "Executor", "ExecutorError", "WorkerError", "WorkersKilled", "opened", "remote"]
