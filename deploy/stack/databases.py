"""One database and one role per service on any PostgreSQL; the role reaches its own database and
nothing else."""

import psycopg
from psycopg import sql


def url(name: str, password: str, host: str, port: int) -> str:
    """Make the SQLAlchemy URL of a service's database."""
    return f"postgresql+psycopg://{name}:{password}@{host}:{port}/{name}"


def close_shared(connection: psycopg.Connection) -> None:
    """Take away everybody's right to connect to the databases every server has."""
    for shared in ("postgres", "template1"):
        connection.execute(
            sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(
                sql.Identifier(shared)
            )
        )


def create(connection: psycopg.Connection, name: str, password: str) -> None:
    """Create database and role `name` if the database does not exist yet.

    The connection must be in autocommit mode.
    """
    if (
        connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        is not None
    ):
        return
    for statement in (
        sql.SQL(
            "DROP ROLE IF EXISTS {0}"
        ),  # left over if an earlier call was cut short before the database existed
        sql.SQL("CREATE ROLE {0} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {1}"),
        sql.SQL("CREATE DATABASE {0} OWNER {0}"),
        sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {0} FROM PUBLIC"),
    ):
        connection.execute(statement.format(sql.Identifier(name), sql.Literal(password)))


def drop(connection: psycopg.Connection, name: str) -> None:
    """Drop a database and its role, ending any sessions in it."""
    connection.execute(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    )
    connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
