"""The error of a user's mistake; a leaf that every module may import."""


class UserError(ValueError):
    """A mistake of the user that one line explains: the argument, the rule and the value found.

    The command prints the message alone. Any other exception is a fault of some code and keeps its traceback.

    Example:
        >>> raise UserError("batch_size must be at least 1, got 0")
        Traceback (most recent call last):
        tasks.errors.UserError: batch_size must be at least 1, got 0
    """
