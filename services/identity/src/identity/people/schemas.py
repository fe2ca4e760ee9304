"""Shape of the signed-in person."""

from common.models import ApiModel


class PersonOut(ApiModel):
    """The signed-in person, for the page that greets them."""

    id: str
    name: str
    agency: str
    roles: list[str]
