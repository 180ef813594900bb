"""The zoo: broken optimizers with one planted defect each, and right ones that are written differently.

``zoo.mutants`` and ``zoo.correct`` are the catalogues, ``python -m zoo.matrix`` (with this folder's parent on
the path) judges both and writes docs/kill-matrix.md, ``python -m zoo.survey`` judges other people's packages.
"""
