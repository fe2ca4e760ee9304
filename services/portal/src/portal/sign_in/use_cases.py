"""Begin a visit: check who came back from the authorization server, and keep what it gave."""

from dataclasses import replace

from portal.context import Context
from portal.shell.model import PendingSignIn, Session, form_token
from portal.sign_in.model import NOBODY, Callback
from portal.sign_in.ports import SignInPorts


async def complete(
    context: Context, ports: SignInPorts, pending: PendingSignIn, back: Callback
) -> Session:
    """Make the visit of whoever signed in. It is not kept yet.

    What somebody else had written at this browser is dropped.

    Raises SignInFailed, and what `People` raises.
    """
    grantings = await ports.authorization.complete(pending, back)
    now = context.clock.now()
    session = Session(
        id=b"",
        person=NOBODY,
        grantings=grantings,
        dpop_jwk=pending.dpop_jwk,
        csrf="",
        created=now,
        seen=now,
    )
    person = await ports.people_for(session).me()
    draft = pending.draft
    own = draft is not None and draft.is_of(person.id)
    csrf = form_token(person.id)
    return replace(session, person=person, csrf=csrf, draft=draft if own else None)
