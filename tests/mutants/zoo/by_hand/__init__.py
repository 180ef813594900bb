"""Right optimizers by hand, in pieces small enough that a mutant replaces one of them."""
