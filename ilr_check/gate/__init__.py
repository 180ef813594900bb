"""The gate judges an optimizer by the laws that its family promises."""
