"""The dispatchable generators."""
