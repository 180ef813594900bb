"""A sweep: many small trainings over learning rate and weight decay, and the map of what they did."""
