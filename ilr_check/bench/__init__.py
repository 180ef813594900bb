"""Speed and memory of the fleet beside what a user would pick instead, measured side by side in one run."""
