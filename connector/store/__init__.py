"""Where tokens outlive the process."""
