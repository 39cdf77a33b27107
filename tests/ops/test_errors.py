"""Wrong names name the nearest."""

from ops.errors import nearest


def test_nearest_names():
    assert nearest("bark", ["Meow", "BARK"]) == " (nearest: 'BARK')"
    assert nearest("Brak", iter(["Meow", "Bark"])) == " (nearest: 'Bark')"
    assert nearest("Siren", ["Meow"]) == ""
