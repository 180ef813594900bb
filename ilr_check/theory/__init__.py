"""Closed forms of the theory. Functions take numbers and return numbers; they know nothing of nets.

There is one function per equation, and its docstring names the source. LLA20 is Li, Lyu and Arora,
"Reconciling Modern Deep Learning with Traditional Optimization Analyses: The Intrinsic Learning Rate"
(NeurIPS 2020). LA20 is Li and Arora, "An Exponential Learning Rate Schedule for Deep Learning" (ICLR 2020).

These symbols are used in this package only: ``eta`` is the learning rate, ``lam`` the weight decay, ``a = 1 -
eta lam``, and ``lambda_e = eta lam`` the intrinsic learning rate. ``r = ||w||`` is the norm of the weights,
``G2 = E||g||^2 r^2`` the mean squared gradient on the unit sphere, and ``gamma = r^4 / eta^2``. The effective
learning rate is ``eta / r^2 = gamma^(-1/2)``. A prime marks the value after one step. Time is counted in
steps.
"""
