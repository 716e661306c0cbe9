"""Each folder of rulesets/ is a case: clearway.toml, purpose.txt, and one ruleset for each phase."""

from pathlib import Path

from routerd.model import Down, Plan, Starting, State, Up
from routerd.plan import closed, plan
from routerd.settings import Settings, parse_settings

HERE = Path(__file__).parent / "rulesets"
LEASES = "/run/clearway/leases/dnsmasq.leases"
PHASES = ("closed", "switching", "open", "blocked")
CASES = sorted(folder.name for folder in HERE.iterdir() if folder.is_dir())
UNREADABLE = HERE / "closed-without-settings.nft"
DIAGNOSING = HERE / "proxies" / "diagnosing.nft"
FILES = [HERE / case / f"{phase}.nft" for case in CASES for phase in PHASES] + [DIAGNOSING, UNREADABLE]


def settings_of(case: str) -> Settings:
    return parse_settings((HERE / case / "clearway.toml").read_text(), lambda path: (HERE / case / path).read_text())


def plan_of(case: str, phase: str) -> Plan:
    """`open`: through the first transport. `blocked`: each one has failed. `diagnosing`: open, and the owner asked."""
    settings = settings_of(case)
    names = list(settings.transports)
    slots = {name: i + 1 for i, name in enumerate(names)}
    match phase:
        case "closed":
            return closed(settings, LEASES)
        case "switching":
            return plan(settings, State({name: Starting(0.0) for name in names}, slots), LEASES)
        case "open" | "diagnosing":
            health = {name: Up(0.0, 50.0) for name in names}
            until = 30.0 if phase == "diagnosing" else None
            state = State(health, slots, active=names[0] if names else None, diagnosing_until=until)
            return plan(settings, state, LEASES)
        case _:
            return plan(settings, State({name: Down(60.0, 1, "timed out") for name in names}, slots), LEASES)


def text_of(shown: Plan) -> str:
    return shown.guard + shown.policy + shown.switch


def ruleset(file: Path) -> str:
    """What is rendered now, for a golden file."""
    return text_of(closed(None, LEASES) if file == UNREADABLE else plan_of(file.parent.name, file.stem))
