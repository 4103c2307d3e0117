"""The pages of an audit and of a comparison."""
