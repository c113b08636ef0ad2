"""Troubles that are really made on railyard, each with the verdict that is right for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from railmend.contracts.incident import Verdict
from railmend.contracts.scan import FindingKind
from railyard.platform import TrafficProfile
from railyard.platform.model import RequestProfile, Spikes, utc_now
from tests.packets import sources

# A file whose text starts so becomes a symbolic link, which the miniature's build refuses outside the tree.
LINK = "-> "
# In a start command: a file of the scenario's folder that its services share, and the provider's stand-in.
SHARED, PROVIDER = "{shared}", "{provider}"


@dataclass(frozen=True)
class Push:
    """A commit `after` seconds of the run; `files` are changed, the rest stays."""

    after: float
    message: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """One service. `limit_gb` in GB; `image`, `worker`, `needs` and `volume_mb` alter what the API shows of
    it: an image in place of a repository, no domain, a reference to another part, a volume of that size.
    Requests come from `starts_after` seconds of the run on; it is put to sleep after `sleeps_after`."""

    name: str
    files: Mapping[str, str]
    requests: tuple[RequestProfile, ...] = ()
    rate: float = 6.0
    spikes: Spikes | None = None
    pushes: tuple[Push, ...] = ()
    limit_gb: float = 1.0
    arguments: tuple[str, ...] = ()
    image: str | None = None
    worker: bool = False
    needs: str | None = None
    volume_mb: int | None = None
    starts_after: float = 0.0
    sleeps_after: float | None = None

    @property
    def traffic(self) -> TrafficProfile | None:
        if not self.requests:
            return None
        return TrafficProfile(
            rate_per_second=self.rate,
            requests=list(self.requests),
            spikes=self.spikes,
            at_once=20,
            starts_at=utc_now() + timedelta(seconds=self.starts_after),
        )


@dataclass(frozen=True)
class Scenario:
    """`right`: the verdict; `by_rule`: decided without a model. `shows`: the kinds of finding that must be
    measured, empty where none may be. `artificial`: a finding that is handed on all the same, as a
    false alarm would be. `downstream_of`: the neighbour that is the root cause; the service is linked to it
    and gets no incident.
    The first of `parts` is the service in question."""

    name: str
    trouble: str
    parts: tuple[Part, ...]
    right: Verdict
    by_rule: bool = False
    shows: tuple[FindingKind, ...] = ()
    artificial: FindingKind | None = None
    platform_incident: str | None = None
    provider_down: bool = False
    downstream_of: str | None = None


def app(text: str, **more: str) -> dict[str, str]:
    return {"app.py": text, **more}


def get(path: str, weight: float = 1, n_max: int = 1) -> RequestProfile:
    return RequestProfile(path=path, weight=weight, n_max=n_max)


HOME = get("/")
CODE = (
    Scenario(
        "leak",
        "Every request leaves its text in a list that nobody empties.",
        (Part("statistics", app(sources.LEAK), (get("/page/{n}", n_max=500),)),),
        Verdict.CODE,
        shows=(FindingKind.MEMORY_LEAK,),
    ),
    Scenario(
        "error_after_commit",
        "A commit takes away the default of a lookup: unknown products answer 500.",
        (
            Part(
                "quotes",
                app(sources.QUOTE_OK),
                (HOME, get("/quote/{n}", n_max=6)),
                pushes=(Push(25, "Simplify the price lookup", app(sources.QUOTE_BROKEN)),),
            ),
        ),
        Verdict.CODE,
        shows=(FindingKind.ERROR_RATE,),
    ),
    Scenario(
        "slow_query",
        "A query reads the whole table for each request.",
        (Part("orders", app(sources.SLOW_QUERY), (get("/orders/{n}", n_max=9),), rate=1),),
        Verdict.CODE,
        shows=(FindingKind.LATENCY,),
    ),
    Scenario(
        "n_plus_one",
        "A page asks the database once for each of its 150 lines.",
        (Part("invoices", app(sources.N_PLUS_ONE), (get("/invoice/{n}", n_max=9),), rate=2),),
        Verdict.CODE,
        shows=(FindingKind.LATENCY,),
    ),
    Scenario(
        "lock_contention",
        "One lock is held for the whole request, so requests queue.",
        (Part("pages", app(sources.LOCKED), (get("/page/{n}", n_max=9),), rate=5),),
        Verdict.CODE,
        shows=(FindingKind.LATENCY,),
    ),
    Scenario(
        "unbounded_threads",
        "Each request starts a thread that waits for an hour.",
        (Part("audit", app(sources.THREADS), (HOME,)),),
        Verdict.CODE,
        shows=(FindingKind.MEMORY_LEAK,),
    ),
    Scenario(
        "log_flood",
        "200 lines of chatter a second hide the trace of requests that fail.",
        (Part("taxes", app(sources.FLOOD), (HOME, get("/tax/{n}", 3, n_max=9))),),
        Verdict.CODE,
        shows=(FindingKind.ERROR_RATE,),
    ),
    Scenario(
        "out_of_memory_loop",
        "Uploads are kept until memory ends; the process is killed and begins anew.",
        (Part("uploads", app(sources.OOM_LOOP), (HOME,), rate=6, limit_gb=0.15),),
        Verdict.CODE,
        shows=(FindingKind.CRASH_LOOP,),
    ),
    Scenario(
        "worker_leak",
        "A worker without a domain keeps the result of every job.",
        (Part("jobs", app(sources.WORKER_LEAK), worker=True),),
        Verdict.CODE,
        shows=(FindingKind.MEMORY_LEAK,),
    ),
    Scenario(
        "committed_setting",
        "A commit sets the page size to zero in a settings file of the repository.",
        (
            Part(
                "search",
                app(sources.SETTINGS_READ, **{"settings.json": '{"page_size": 20}\n'}),
                (HOME, get("/search/{n}", n_max=9)),
                pushes=(Push(25, "Unlimited pages", {"settings.json": '{"page_size": 0}\n'}),),
            ),
        ),
        Verdict.CONFIGURATION,
        shows=(FindingKind.ERROR_RATE,),
    ),
)
DEPLOYMENTS = (
    Scenario(
        "crash_loop_at_start",
        "The only deployment dies at start for want of a variable, and never served.",
        (Part("ledger", app(sources.DIES_AT_START), (HOME,), rate=2),),
        Verdict.BAD_DEPLOY,
        by_rule=True,
        shows=(FindingKind.CRASH_LOOP,),
    ),
    Scenario(
        "wrong_port",
        "The newest deployment listens on a port of its own; the older one serves.",
        (
            Part(
                "gateway",
                app(sources.WELL),
                (HOME,),
                pushes=(Push(8, "Listen on our port", app(sources.FIXED_PORT)),),
            ),
        ),
        Verdict.BAD_DEPLOY,
        by_rule=True,
        shows=(FindingKind.DEPLOYMENT_FAILED,),
    ),
    Scenario(
        "failing_build",
        "The newest build fails; the older deployment serves.",
        (
            Part(
                "assets",
                app(sources.WELL),
                (HOME,),
                pushes=(Push(20, "Use the shared certificates", {"certificates": LINK + "/etc/ssl"}),),
            ),
        ),
        Verdict.BAD_DEPLOY,
        by_rule=True,
        shows=(FindingKind.DEPLOYMENT_FAILED,),
    ),
    Scenario(
        "newest_crashed",
        "The newest deployment imports what is not there; the older one serves.",
        (
            Part(
                "reports",
                app(sources.WELL),
                (HOME,),
                pushes=(Push(20, "Use reportz", app(sources.BROKEN_IMPORT)),),
            ),
        ),
        Verdict.BAD_DEPLOY,
        by_rule=True,
        shows=(FindingKind.CRASH_LOOP,),
    ),
)
OUTSIDE = (
    Scenario(
        "missing_variable",
        "A variable that only Railway holds is not set: nothing in the repository can fix that.",
        (Part("mailer", app(sources.NO_VARIABLE), (HOME, get("/mail/{n}", n_max=9))),),
        Verdict.UNCLEAR,
        shows=(FindingKind.ERROR_RATE,),
    ),
    Scenario(
        "provider_down",
        "The payment provider's status page tells of an outage, and the calls to it fail.",
        (Part("payments", app(sources.PAYMENTS), (HOME, get("/pay/{n}")), arguments=(PROVIDER,)),),
        Verdict.PROVIDER_INCIDENT,
        by_rule=True,
        shows=(FindingKind.ERROR_RATE,),
        provider_down=True,
    ),
    Scenario(
        "platform_incident",
        "Railway itself tells of an incident while requests fail.",
        (Part("basket", app(sources.SOME_FAIL), (get("/{n}", n_max=8),)),),
        Verdict.PLATFORM_INCIDENT,
        by_rule=True,
        shows=(FindingKind.ERROR_RATE,),
        platform_incident="Degraded network in us-west2",
    ),
    Scenario(
        "image_fails",
        "A service made from an image fails: there is no repository to fix.",
        (Part("metabase", app(sources.SOME_FAIL), (get("/{n}", n_max=8),), image="metabase/metabase:v0.50"),),
        Verdict.UNCLEAR,
        by_rule=True,
        shows=(FindingKind.ERROR_RATE,),
    ),
    Scenario(
        "image_worker_leaks",
        "A worker made from an image, without domain or repository, takes ever more memory.",
        (Part("indexer", app(sources.WORKER_LEAK), worker=True, image="acme/indexer:3"),),
        Verdict.UNCLEAR,
        by_rule=True,
        shows=(FindingKind.MEMORY_LEAK,),
    ),
    Scenario(
        "limit_too_small",
        "A steady service fits its memory limit with nothing to spare.",
        (Part("prices", app(sources.HELD_TABLE), (HOME,), limit_gb=0.12),),
        Verdict.LIMIT_TOO_SMALL,
        by_rule=True,
        shows=(FindingKind.MEMORY_SATURATION,),
    ),
    Scenario(
        "volume_full",
        "What customers stored fills the volume, as it should; the volume is too small.",
        (Part("files", app(sources.UPLOADS), (HOME,), volume_mb=60),),
        Verdict.LIMIT_TOO_SMALL,
        shows=(FindingKind.DISK_FILLING,),
    ),
)


def slow_store(name: str) -> Part:
    """A database that speaks HTTP."""
    return Part(name, app(sources.SLOW_STORE), (HOME,), rate=2, arguments=(SHARED,), image="couchdb:3")


def caller(name: str, store: str) -> Part:
    return Part(name, app(sources.CALLER), (HOME,), rate=2, arguments=(SHARED,), needs=store)


NEIGHBOURS = (
    Scenario(
        "victim_of_slow_store",
        "A caller is slow because the store that it needs is slow.",
        (caller("shop", "store"), slow_store("store")),
        Verdict.UNCLEAR,
        shows=(FindingKind.LATENCY,),
        downstream_of="store",
    ),
    Scenario(
        "slow_store",
        "A slow store, made from an image, with callers that suffer.",
        (slow_store("catalog"), caller("storefront", "catalog")),
        Verdict.UNCLEAR,
        by_rule=True,
        shows=(FindingKind.LATENCY,),
    ),
)
DOWN = (
    Scenario(
        "store_hangs",
        "The store that a service needs takes connections and answers no more.",
        (
            Part("cart", app(sources.IMPATIENT), (HOME,), rate=3, arguments=(SHARED,), needs="carts"),
            Part("carts", app(sources.HUNG_STORE), arguments=(SHARED,), image="couchdb:3", worker=True),
        ),
        Verdict.DEPENDENCY_DOWN,
        shows=(FindingKind.OUTAGE,),
    ),
)
WELL = (
    Scenario(
        "busy",
        "Half of the CPU is used, and every request is answered in time.",
        (Part("images", app(sources.BUSY), (HOME,), rate=6),),
        Verdict.HEALTHY,
        artificial=FindingKind.CPU_SATURATION,
    ),
    Scenario(
        "spiky",
        "Bursts of five times the traffic, which are answered.",
        (
            Part(
                "news",
                app(sources.WELL),
                (HOME,),
                rate=3,
                spikes=Spikes(every_seconds=15, factor=5, seconds=3),
            ),
        ),
        Verdict.HEALTHY,
        artificial=FindingKind.LATENCY,
    ),
    Scenario(
        "warm_up",
        "A bounded cache fills in the first half minute and stays as it is.",
        (Part("thumbnails", app(sources.WARM_UP), (get("/{n}", n_max=40),), rate=10),),
        Verdict.HEALTHY,
        artificial=FindingKind.MEMORY_LEAK,
    ),
    Scenario(
        "tiny_sample",
        "A handful of requests in the window, and each of them failed.",
        (Part("backoffice", app(sources.ALWAYS_FAILS), (HOME,), rate=0.14, starts_after=12),),
        Verdict.TOO_LITTLE_DATA,
        by_rule=True,
        shows=(FindingKind.ERROR_RATE,),
    ),
    Scenario(
        "asleep",
        "A service without requests was put to sleep.",
        (Part("preview", app(sources.WELL), sleeps_after=20),),
        Verdict.ASLEEP,
        by_rule=True,
        artificial=FindingKind.TRAFFIC_DROP,
    ),
    Scenario(
        "scanner",
        "Somebody looks for weak spots: many 404s beside the usual traffic.",
        (
            Part(
                "site",
                app(sources.SITE),
                (get("/", 3), get("/wp-login.php"), get("/.env"), get("/phpmyadmin/{n}", n_max=50)),
            ),
        ),
        Verdict.HEALTHY,
        artificial=FindingKind.CLIENT_ERRORS,
    ),
    Scenario(
        "errors_on_purpose",
        "A service for testing clients answers 503 where it is asked to.",
        (Part("echo", app(sources.ERROR_PAGE), (get("/", 2), get("/status/503"))),),
        Verdict.HEALTHY,
        shows=(FindingKind.ERROR_RATE,),
    ),
)
# What runs at the same time must leave the machine some air.
BATCHES = (CODE, DEPLOYMENTS + NEIGHBOURS, OUTSIDE + DOWN, WELL)
SCENARIOS = tuple(scenario for batch in BATCHES for scenario in batch)
