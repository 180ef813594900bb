"""What an optimizer is given: scenarios, short paths, gradients that are all noise."""
