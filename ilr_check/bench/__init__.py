"""Speed and memory of the fleet and of its alternatives, measured side by side in one run."""
