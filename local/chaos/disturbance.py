"""Carries strikes out: what each kind of them does to whom, and how it is over."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from core.account import NEVER
from local.chaos.crew import Crew, has_ended
from local.chaos.pairings import Pairings
from local.chaos.strikes import CLAIMS_RACED, Kind, Strike
from local.faults.cast import Account, Cast
from local.faults.rounds import plan_with_others
from local.faults.stage import Stage
from local.network.faults import FaultKind as NetworkFault
from local.production.clients import FirestoreGate
from local.production.commits import CommitKind
from local.production.faults import NO_FAULTS, FaultKind, FaultPlan
from local.production.holds import Moment
from local.production.world import FUNCTION, Worker, World

_POINT_LIMIT_S = 3.0
"""Who has not come to his point by then is struck where he is."""
_BACK_LIMIT_S = 180.0
_RACE_LIMIT_S = 30.0
"""For a connector that was asked to end: it ends, comes back, and claims all accounts."""
_AT_ITS_MOMENT = (
    Kind.ENGINE_AT_POINT,
    Kind.CONNECTOR_AT_COMMIT,
    Kind.FROZEN_AT_COMMIT,
    Kind.FROZEN_AT_POINT,
    Kind.FUNCTION_AT_OUTCOME,
    Kind.CUT,
)
"""These wait for a moment of their victim's: a message of the portion may bring it, so they look from its beginning on."""
_RACE = (Kind.FROZEN_AT_COMMIT, CommitKind.CLAIM, Moment.BEFORE)
_POLL_S = 0.02
_STRETCH_S = 3.0
"""How long all kinds of `make faults` are about."""

Mend = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Victim:
    """A connected account, and its owner."""

    account: Account
    worker: Worker


@dataclass(kw_only=True)
class Disturbance:
    world: World
    stage: Stage
    cast: Cast
    crew: Crew
    pairings: Pairings
    gate: FirestoreGate
    plan_file: Path
    """From which an engine that starts reads where it is to kill itself."""
    freeze_file: Path
    """From which engines at work read where one of them is to freeze itself."""
    lease_ttl_s: float
    done: Counter[str] = field(default_factory=Counter, init=False)
    """How often what was struck."""
    missed: Counter[str] = field(default_factory=Counter, init=False)
    """Strikes that met nobody, by their kind."""

    @property
    def struck(self) -> int:
        """How many strikes met somebody. That of the last one may be known only when it is over."""
        return self.done.total()

    def await_victim(self, strike: Strike) -> Victim | None:
        """None: no account was owned and connected, for so long that nobody will be."""
        first = int(strike.place * len(self.cast.accounts))
        accounts = [*self.cast.accounts[first:], *self.cast.accounts[:first]]
        deadline = time.monotonic() + _BACK_LIMIT_S
        while time.monotonic() < deadline:
            for account in accounts:
                owner = self.crew.owner_of(account.account_id)
                if owner is not None and self.crew.is_running(owner) and self.stage.is_connected(account):
                    return Victim(account=account, worker=owner)
            time.sleep(_POLL_S)
        return None

    def strike(self, strike: Strike, victim: Victim) -> Mend:
        """Returns when the harm is done, with what ends it: that lasts as long as the harm does, so that people write meanwhile."""
        if strike.kind not in _AT_ITS_MOMENT:
            time.sleep(strike.delay_s)
        match strike.kind:
            case Kind.ENGINE_AT_POINT | Kind.ENGINE:
                return self._kill_engine(strike, victim)
            case Kind.CONNECTOR:
                return self._kill(strike.kind, victim.worker)
            case Kind.CONNECTOR_AT_COMMIT | Kind.FROZEN_AT_COMMIT:
                return self._strike_at_commit(strike, victim)
            case Kind.FUNCTION_AT_OUTCOME:
                return self._kill_functions(strike)
            case Kind.HAND_OVER:
                self._count(strike.kind)
                self.crew.ask_to_end(victim.worker)
                return lambda: self.crew.restart(victim.worker)
            case Kind.FROZEN_CONNECTOR | Kind.FROZEN_ENGINE | Kind.FROZEN_BOTH:
                return self._freeze(strike, victim.worker)
            case Kind.FROZEN_AT_POINT:
                return self._freeze_at_point(strike, victim.worker)
            case Kind.SOCKET | Kind.CUT:
                return self._break(strike, victim.account)
            case Kind.FIRESTORE_SHORT | Kind.FIRESTORE_LONG | Kind.FIRESTORE_FOR_ONE:
                return self._shut_firestore(strike, victim.worker)
            case Kind.FAULTS:
                return self._trouble_everybody(strike)
            case Kind.PAIRING:
                return self._strike_pairing(strike, victim.worker)
            case Kind.STOLEN:
                return self._steal(strike, victim)

    def _count(self, what: str) -> None:
        self.done[what] += 1

    def _missed(self, strike: Strike) -> Mend:
        """Nobody was where it struck."""
        self.missed[strike.kind] += 1
        return _nothing

    def _engine_of(self, worker: Worker) -> psutil.Process | None:
        """One that has just ended is waited for: its connector starts another."""
        found: list[psutil.Process] = []

        def is_there() -> bool:
            engine = self.crew.engine_of(worker)
            found.extend([engine] if engine is not None else [])
            return bool(found)

        self._within(_POINT_LIMIT_S, is_there)
        return found[0] if found else None

    # Killed

    def _kill_engine(self, strike: Strike, victim: Victim) -> Mend:
        """The one that is at work, or the one that comes after it, at its point."""
        engine = self._engine_of(victim.worker)
        at_point = strike.kind is Kind.ENGINE_AT_POINT
        if at_point:
            _write(self.plan_file, strike.plan)
        if engine is not None:
            engine.kill()
            has_ended(engine, _BACK_LIMIT_S)
        elif not at_point:
            return self._missed(strike)
        if not at_point:
            self._count(strike.kind)
            return _nothing
        died = self._next_engine_died(victim.worker)
        self.plan_file.unlink(missing_ok=True)
        if died is None and engine is None:
            return self._missed(strike)
        self._count(f"engine killed at {strike.point}" if died else Kind.ENGINE)
        return _nothing

    def _next_engine_died(self, worker: Worker) -> bool | None:
        """The engine that read the plan has come to its point, or was killed elsewhere. None: no engine has read it."""
        deadline = time.monotonic() + _POINT_LIMIT_S
        while time.monotonic() < deadline:
            engine = self.crew.engine_of(worker)
            if engine is not None and not self.plan_file.exists():
                if has_ended(engine, max(0.0, deadline - time.monotonic())):
                    return True
                engine.kill()
                return False
            time.sleep(_POLL_S)
        return None

    def _kill(self, what: str, worker: Worker) -> Mend:
        self.crew.kill(worker)
        self._count(what)
        self.crew.restart(worker)
        return _nothing

    def _kill_functions(self, strike: Strike) -> Mend:
        held = self.gate.hold(FUNCTION, CommitKind.OUTCOME, strike.moment, passes=strike.passes)
        met = self._meets(held)
        killed = self._within(_POINT_LIMIT_S, self._kill_sends)
        self.gate.release(held)
        if not killed:
            return self._missed(strike)
        self._count(f"function killed {strike.moment} an outcome's commit" if met else "function killed")
        return _nothing

    def _kill_sends(self) -> bool:
        """Not where all have just ended: they come back."""
        return self.world.cloud.kill("threadlineSend") > 0

    # At a commit

    def _strike_at_commit(self, strike: Strike, victim: Victim) -> Mend:
        """A claim is another's, when the owner was asked to end; and a release is the owner's own, then."""
        struck, asked = victim.worker, strike.commit in (CommitKind.CLAIM, CommitKind.RELEASE)
        if strike.commit is CommitKind.CLAIM:
            struck = next(iter(self.crew.others_of(victim.worker)), victim.worker)
        held = self.gate.hold(struck.name, strike.commit, strike.moment, passes=self._passes(strike))
        if asked:
            self.crew.ask_to_end(victim.worker)
        met = self._meets(held)
        if met and struck is not victim.worker and (strike.kind, strike.commit, strike.moment) == _RACE:
            return self._race_claims(strike, victim.worker, struck, held)
        where = f" {strike.moment} a commit: {strike.commit}" if met else ""
        if strike.kind is Kind.CONNECTOR_AT_COMMIT:
            mend = self._kill(f"connector killed{where}", struck)
            self.gate.release(held)
            asked = asked and struck is not victim.worker
        else:
            mend = self._freeze_whole(strike, struck, f"connector and engine frozen{where}")
            self.gate.release(held)

        def over() -> None:
            mend()
            if asked:
                self.crew.restart(victim.worker)

        return over

    def _race_claims(self, strike: Strike, former: Worker, claimant: Worker, held: int) -> Mend:
        """The claim of one who is frozen comes to Firestore when another's stands: the former owner's, who has come back."""
        thaw = self._halt(strike, claimant)

        def over() -> None:
            self.crew.restart(former)
            raced = self._within(_RACE_LIMIT_S, lambda: self._owns_all(former))
            self.gate.release(held)
            time.sleep(self.lease_ttl_s / 4)  # so that its answer waits for the one who is frozen
            thaw()
            self._count(CLAIMS_RACED if raced else "connector and engine frozen at a claim")

        return over

    def _owns_all(self, worker: Worker) -> bool:
        return all(self.crew.owner_of(account.account_id) == worker for account in self.cast.accounts)

    @staticmethod
    def _passes(strike: Strike) -> int:
        return strike.passes if strike.commit in (CommitKind.WAL, CommitKind.RENEWAL) else 1

    def _meets(self, held: int) -> bool:
        return self._within(_POINT_LIMIT_S, lambda: self.gate.has_met(held))

    @staticmethod
    def _within(limit_s: float, holds: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + limit_s
        while not (found := holds()) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return found

    # Frozen

    def _freeze(self, strike: Strike, worker: Worker) -> Mend:
        if strike.kind is Kind.FROZEN_BOTH:
            return self._freeze_whole(strike, worker, strike.kind)
        if strike.kind is Kind.FROZEN_CONNECTOR:
            self.crew.freeze(worker)
            self._count(strike.kind)
            return _later(self._frozen_s(strike), lambda: self.crew.thaw(worker))
        engine = self._engine_of(worker)
        if engine is None:
            return self._missed(strike)
        return self._freeze_engine(strike, engine, strike.kind)

    def _freeze_at_point(self, strike: Strike, worker: Worker) -> Mend:
        """Whichever engine comes there first. Its connector is frozen, too, or else kills it when it does not answer."""
        _write(self.freeze_file, strike.freeze_point)
        deadline = time.monotonic() + _POINT_LIMIT_S
        while (stopped := self.crew.stopped()) is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        self.freeze_file.unlink(missing_ok=True)
        if stopped is None or strike.passes > 1:
            where = "" if stopped is None else f" at {strike.freeze_point}"
            return self._freeze_whole(strike, stopped or worker, f"connector and engine frozen{where}")
        return self._freeze_engine(strike, self.crew.engine_of(stopped), f"engine frozen at {strike.freeze_point}")

    def _freeze_engine(self, strike: Strike, engine: psutil.Process | None, what: str) -> Mend:
        self.crew.freeze_engine(engine)
        self._count(what)
        return _later(self._frozen_s(strike), lambda: self.crew.thaw_engine(engine))

    def _freeze_whole(self, strike: Strike, worker: Worker, what: str) -> Mend:
        thaw = self._halt(strike, worker)
        self._count(what)
        return _later(self._frozen_s(strike), thaw)

    def _halt(self, strike: Strike, worker: Worker) -> Mend:
        """Freezes connector and engine. Returns what thaws them, the one or the other first."""
        engine = self.crew.engine_of(worker)
        self.crew.freeze(worker)
        self.crew.freeze_engine(engine)

        def thaw() -> None:
            if strike.passes == 1:
                self.crew.thaw(worker)
                self.crew.thaw_engine(engine)
            else:
                self.crew.thaw_engine(engine)
                self.crew.thaw(worker)

        return thaw

    def _frozen_s(self, strike: Strike) -> float:
        """A third of them less than the lease's time to live."""
        return self.lease_ttl_s * (0.6 + 1.2 * strike.length)

    # The network

    def _break(self, strike: Strike, account: Account) -> Mend:
        if strike.kind is Kind.CUT:
            return self._cut(strike, account)
        self._break_connection(strike, account, f"{strike.kind}: {strike.how}")
        return _nothing

    def _break_connection(self, strike: Strike, account: Account, what: str) -> None:
        self.world.network.disconnect(account.phone, strike.how)
        self.world.network.reconnect(account.phone)  # at once: it is not kept out
        self._count(what)

    def _cut(self, strike: Strike, account: Account) -> Mend:
        """At the next frame, whichever account's it is; without one, where the connection is."""
        network = self.world.network
        fault = network.fault(NetworkFault.CUT, times=1)

        def has_struck() -> bool:
            return any(standing.fault_id == fault and standing.times == 0 for standing in network.faults())

        def over() -> None:
            was_cut = self._within(_POINT_LIMIT_S, has_struck)
            network.clear_faults(fault)
            if was_cut:
                self._count(strike.kind)
            else:
                self._break_connection(strike, account, f"{strike.kind}: without a frame, {strike.how}")

        return over

    # Firestore, and everything else

    def _steal(self, strike: Strike, victim: Victim) -> Mend:
        """Until the other connector has claimed the account, though its owner takes it back with each renewal."""
        deadline = time.monotonic() + self.lease_ttl_s * 4
        while time.monotonic() < deadline:
            self.stage.change_lease(victim.account, {"leaseUntil": NEVER})
            if self.crew.owner_of(victim.account.account_id) not in (None, victim.worker):
                self._count(strike.kind)
                return _nothing
            time.sleep(_POLL_S)
        return self._missed(strike)

    def _shut_firestore(self, strike: Strike, worker: Worker) -> Mend:
        kind = FaultKind.FIRESTORE_HANGS if strike.passes == 1 else FaultKind.FIRESTORE_REFUSES
        client = worker.name if strike.kind is Kind.FIRESTORE_FOR_ONE else None
        self.gate.strike(FaultPlan(seed=strike.fault_seed, rates={kind: 1.0}), client)
        self._count(strike.kind)
        short = strike.kind is Kind.FIRESTORE_SHORT
        gone_s = 0.2 + 0.8 * strike.length if short else self.lease_ttl_s * (1.1 + 0.5 * strike.length)
        return _later(gone_s, lambda: self.gate.strike(NO_FAULTS, client))

    def _trouble_everybody(self, strike: Strike) -> Mend:
        def trouble(plan: FaultPlan) -> None:
            self.world.cloud.strike(plan)
            self.gate.strike(plan)
            for gate in self.world.connector_gates:
                gate.strike(plan)

        trouble(plan_with_others(strike.fault_seed))
        self._count(strike.kind)
        return _later(_STRETCH_S, lambda: trouble(NO_FAULTS))

    # Pairing

    def _strike_pairing(self, strike: Strike, worker: Worker) -> Mend:
        """Whoever pairs the new account is killed when the code is shown, or after it was entered; or its engine is."""
        if strike.passes == 1:
            account, where = self._pair_until_told(strike)
        else:
            account, where = self._pair_until_entered(strike)
        owner = self.crew.owner_of(account.account_id) or worker
        engine = self.crew.engine_of(owner)
        if engine is not None and strike.passes == 3:
            engine.kill()
            self._count(f"engine killed in a pairing{where}")
        else:
            self._kill(f"connector killed in a pairing{where}", owner)
        self.gate.release()
        return lambda: self.pairings.finish(account)

    def _pair_until_told(self, strike: Strike) -> tuple[Account, str]:
        """Until the owner tells the account's private state something: the code, or that there is none yet. And where that was."""
        document = self.pairings.named(strike.number).account_id
        held = [
            self.gate.hold(
                worker.name, CommitKind.PRIVATE, strike.moment, passes=1 + int(strike.length * 2), document=document
            )
            for worker in self.world.workers
        ]
        account = self.pairings.begin(strike.number)
        met = self._within(_POINT_LIMIT_S, lambda: any(map(self.gate.has_met, held)))
        return account, f", {strike.moment} its state was told" if met else ""

    def _pair_until_entered(self, strike: Strike) -> tuple[Account, str]:
        account = self.pairings.begin(strike.number)
        entered = self._within(_POINT_LIMIT_S, lambda: self.pairings.enter_code(account))
        time.sleep(strike.length / 2)
        return account, ", after the code was entered" if entered else ""


def _write(file: Path, text: str) -> None:
    """At once: nobody reads a half."""
    waiting = file.with_suffix(".new")
    waiting.write_text(text)
    waiting.replace(file)


def _later(seconds: float, then: Mend) -> Mend:
    """From now on, however much of it its caller has spent before."""
    due = time.monotonic() + seconds

    def mend() -> None:
        time.sleep(max(0.0, due - time.monotonic()))
        then()

    return mend


def _nothing() -> None:
    return
