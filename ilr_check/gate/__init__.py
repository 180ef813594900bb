"""The gate: judging an optimizer by the laws that its family promises."""
