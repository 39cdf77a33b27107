"""The toy data set's classes, and the flags that name its further tables."""

CLASSES = ["Alarm", "Bell", "Birdsong", "Clicks", "Drum", "Engine", "Rain", "Siren"]


def with_test(toy) -> dict:
    return {"test_data_dir": toy.folder / "test", "sample_submission": toy.folder / "sample_submission.csv"}


def with_noisy(toy) -> dict:
    return {
        "noisy_train_df": toy.folder / "train_noisy.csv",
        "noisy_train_data_dir": toy.folder / "train_noisy",
    }
