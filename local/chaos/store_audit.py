"""Who wrote into the engines' PostgreSQL, held against who had claimed the account there: noted by triggers, within each write."""

from collections.abc import Iterator

from local.faults.verdict import Broken, Finding
from local.postgres import Postgres

_WATCHED = """
CREATE TABLE chaos_owner (account_id TEXT PRIMARY KEY, engine TEXT NOT NULL);
CREATE TABLE chaos_stale (what TEXT NOT NULL);
CREATE FUNCTION chaos_note() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    written JSONB := to_jsonb(COALESCE(NEW, OLD));
    writer TEXT := current_setting('application_name');
    of_account TEXT := COALESCE(written->>'account_id', (
        SELECT account_id FROM engine_accounts WHERE device_jid = COALESCE(written->>'our_jid', written->>'jid')));
BEGIN
    IF TG_TABLE_NAME = 'engine_accounts' AND written->>'epoch' IS DISTINCT FROM to_jsonb(OLD)->>'epoch' THEN
        INSERT INTO chaos_owner VALUES (of_account, writer) ON CONFLICT (account_id) DO UPDATE SET engine = writer;
    ELSIF EXISTS (SELECT 1 FROM chaos_owner WHERE account_id = of_account AND engine <> writer) THEN
        INSERT INTO chaos_stale VALUES (TG_OP || ' ' || TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END $$;
DO $$ DECLARE found TEXT; BEGIN
    FOR found IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'chaos%' LOOP
        EXECUTE format('CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION chaos_note()', found);
    END LOOP;
END $$;
"""


def watch(store: Postgres) -> None:
    """From an account's next claim on. The engines have made their tables, and each connector's process has a name of its own there."""
    store.query(_WATCHED)


def stale_writes(store: Postgres) -> Iterator[Finding]:
    """A finding for each table and way in which a former owner wrote after the claim of another; and one where no claim was noted."""
    if store.query("SELECT count(*) FROM chaos_owner").strip() == "0":
        yield Finding(broken=Broken.LOST, where="the session store", what="no claim was noted in it")
    for row in store.query("SELECT what, count(*) FROM chaos_stale GROUP BY what ORDER BY what").splitlines():
        what, _, times = row.partition("|")
        yield Finding(broken=Broken.LOST, where="the session store", what=f"{what} by a former owner, {times} times")
