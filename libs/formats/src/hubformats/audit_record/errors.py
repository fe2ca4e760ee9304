"""How a record or a sealed part is refused."""


class RecordRefused(ValueError):
    """Something that is no record, leaf or sealed part.

    `code` names the defect; the content is never part of the message.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
