"""Parts of the GPU's checks: none stops another."""

import subprocess
import sys
import time

from gpu_check import GRACE_SECONDS, TOTAL_SECONDS, Part, parts_on, run_parts, script


def fail():
    raise ValueError("broken")


def start_another_and_hang():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    time.sleep(60)


def test_parts_that_fail_or_run_out_of_time_stop_no_other(capfd):
    parts = [
        Part("bad", 5, fail),
        Part("slow", 0.2, start_another_and_hang),
        Part("leaving", 5, lambda: sys.exit(3)),
        Part("good", 5, lambda: print("hello")),
    ]
    found = run_parts(parts, 60)
    assert {name: outcome.rsplit(" (", 1)[0] for name, outcome in found.items()} == {
        "bad": "failed, exit code 1",
        "slow": "out of time",
        "leaving": "failed, exit code 3",
        "good": "ok",
    }
    printed = capfd.readouterr()
    assert "hello" in printed.out and "ValueError: broken" in printed.err


def test_without_time_nothing_starts():
    assert run_parts([Part("late", 5, fail)], 1) == {"late": "no time was left"}


def test_a_script_gets_its_flags(tmp_path, monkeypatch, capfd):
    (tmp_path / "told.py").write_text("import sys\nif __name__ == '__main__':\n    print(sys.argv[1:])")
    monkeypatch.setattr("gpu_check.HERE", tmp_path)
    assert run_parts([Part("told", 5, script("told.py", "--device=cpu"))], 20)["told"].startswith("ok")
    assert "['--device=cpu']" in capfd.readouterr().out


def test_all_parts_fit_into_eight_minutes():
    parts = parts_on("cuda")
    assert sum(part.seconds for part in parts) <= TOTAL_SECONDS <= 480 - 2 * GRACE_SECONDS
