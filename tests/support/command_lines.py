"""What the tests of command lines share: a small parser, all scripts, the one line of a usage error."""

import pytest

from repository import ROOT
from toolkit.cli.parser import PROBABILITY, Parser, number
from toolkit.cli.parser import make_parser as make_scripts_parser


def usage_error(capsys, parse_args, arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        parse_args(arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


SCRIPTS = sorted(path.stem for path in ROOT.glob("*.py"))


def make_parser() -> Parser:
    parser = make_scripts_parser("Try.\n\n    python try.py --speed 1")
    parser.add_argument("--speed", required=True, type=number(int, 1), help="clips a second")
    parser.add_argument("--kind", choices=("mel", "stft"), default="mel", help="front end")
    parser.add_argument("--share", type=PROBABILITY, default=0, help="part")
    return parser
