#!/usr/bin/env bash
# The main job on synthetic data: train on curated clips, predict the noisy ones, keep those on which
# labels and prediction agree, train again with them. `make demo` runs it; about 4 minutes on 2 cores.
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python}
D=demo/data
if [ -e demo ] && [ ! -e demo/.made_by_demo ]; then
  echo "error: demo/ exists and was not made by this script, which would replace it; move it away" >&2
  exit 1
fi
rm -rf demo
mkdir demo
touch demo/.made_by_demo

bold=; normal=; if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf "\033[1m"); normal=$(printf "\033[0m"); fi
step() { printf "\n%s== %s%s\n" "$bold" "$1" "$normal"; shift; printf "+"; printf " %q" "$@"; echo; "$@"; }

train=("$python" train_2d_cnn.py --train_df $D/train_curated.csv --train_data_dir $D/train_curated
  --classmap $D/classmap.json --experiments_dir demo/experiments --features=mel_1024_512_64
  --aggregation_type=max --num_conv_blocks=4 --conv_base_depth=16 --growth_rate=1.5
  --start_deep_supervision_on=1 --optimizer=adam --scheduler=1cycle_0.0001_0.01 --epochs=24 --batch_size=8
  --weight_decay=0 --p_mixup=0.5 --switch_off_augmentations_on=20 --folds 0 1 --n_folds=2 --num_workers=2
  --test_data_dir $D/test --sample_submission $D/sample_submission.csv)

step "1. A small data set: few careful labels, many bad ones" "$python" create_demo_data.py --output_dir $D
step "2. The class map" "$python" create_class_map.py --train_df $D/train_curated.csv --output_file $D/classmap.json
step "3. Train on the curated clips, two folds" "${train[@]}" --label=before
before=$(echo demo/experiments/before-*)
step "4. Predict the noisy clips" "$python" predict_2d_cnn.py --experiment "$before" --num_workers=2 \
  --test_df $D/train_noisy.csv --test_data_dir $D/train_noisy --classmap $D/classmap.json \
  --output_df demo/noisy_predictions.csv
step "5. Keep the 90 noisy clips whose labels the prediction agrees with best" "$python" relabel_noisy_data.py \
  --noisy_df $D/train_noisy.csv --noisy_predictions_df demo/noisy_predictions.csv \
  --output_df demo/train_noisy_kept.csv --mode scoring_90
step "6. Train again with them" "${train[@]}" --label=after --noisy_train_df demo/train_noisy_kept.csv \
  --noisy_train_data_dir $D/train_noisy --share_noisy
after=$(echo demo/experiments/after-*)
step "7. lwlrap on the test clips, before and after" "$python" score_predictions.py --truth_df $D/test_truth.csv \
  --names "before (curated only)" "after (with kept noisy clips)" \
  --predictions_df "$before/predictions/submission.csv" "$after/predictions/submission.csv"
step "8. A page of what it learned" "$python" report_experiment.py --experiment "$after" --output demo/report.html
step "9. A page to review the choice of step 5 by ear" "$python" review_labels.py --noisy_df $D/train_noisy.csv \
  --relabeled_df demo/train_noisy_kept.csv --noisy_predictions_df demo/noisy_predictions.csv \
  --noisy_data_dir $D/train_noisy --output demo/review.html
echo
echo "Open in a browser: $PWD/demo/report.html"
echo "                   $PWD/demo/review.html"
echo "The submission: $after/predictions/submission.csv"
echo "Learning curves: .venv/bin/tensorboard --logdir demo/experiments"
