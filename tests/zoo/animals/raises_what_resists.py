# Raises what raises something else whatever it is asked.
# python: {outcome: failed, error: "an exception without a name: so there"}
# command: {outcome: failed, error: "exit 1"}


class Nameless(type):
    @property
    def __name__(cls):
        raise ValueError("no name")


class Odd(OSError, metaclass=Nameless):
    __traceback__ = property(lambda self: 1 / 0)
    __class__ = property(lambda self: 1 / 0)
    errno = property(lambda self: 1 / 0)


def handle(event, context):
    raise Odd("so there")
