"""Closed forms of the theory: numbers in, numbers out; knows no net.

One function per equation, with its source in the docstring. Sources: LLA20 is Li, Lyu and Arora, "Reconciling
Modern Deep Learning with Traditional Optimization Analyses: The Intrinsic Learning Rate" (NeurIPS 2020);
LA20 is Li and Arora, "An Exponential Learning Rate Schedule for Deep Learning" (ICLR 2020).

Symbols, here and nowhere else: ``eta`` learning rate, ``lam`` weight decay, ``a = 1 - eta lam``,
``lambda_e = eta lam`` intrinsic learning rate, ``r = ||w||``, ``G2 = E||g||^2 r^2`` mean squared gradient on
the unit sphere, ``gamma = r^4 / eta^2``, effective learning rate ``eta / r^2 = gamma^(-1/2)``.
Time is in steps.
"""
