#!/usr/bin/env bash
# The main job on synthetic data: train on curated clips, predict the noisy ones, keep those on which
# labels and prediction agree, train again with them. `make demo` runs it; about 4 minutes on 2 cores.
# With --clean it only takes away what an earlier run left.
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python}
D=demo/data
pages=(demo/report.html demo/review.html demo/comparison.html)
tables=(demo/noisy_predictions.csv demo/train_noisy_kept.csv)

# Only what this script makes: other files in demo/ stay.
clean() {
  rm -rf "$D" demo/experiments/before-* demo/experiments/after-* "${pages[@]}" "${tables[@]}" demo/.made_by_demo
  rmdir demo/experiments demo 2>/dev/null || true
}
if [ -e demo/.made_by_demo ]; then
  clean
elif [ -e demo ] && [ "${1:-}" != --clean ] && [ -n "$(ls -A demo)" ]; then
  echo "error: demo/ holds files that this script did not make; move the folder away, or give it another name" >&2
  exit 1
fi
[ "${1:-}" != --clean ] || exit 0
mkdir -p demo
touch demo/.made_by_demo

bold=; normal=; if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf "\033[1m"); normal=$(printf "\033[0m"); fi
step() { printf "\n%s== %s%s\n" "$bold" "$1" "$normal"; shift; printf "%s\n" "$(printf "%q " "$@")"; "$@"; }

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
step "9. A page that compares both" "$python" report_experiment.py --experiment "$before" "$after" \
  --output demo/comparison.html
step "10. A page to check by ear which clips step 5 kept" "$python" review_labels.py \
  --noisy_df $D/train_noisy.csv --relabeled_df demo/train_noisy_kept.csv --noisy_data_dir $D/train_noisy \
  --noisy_predictions_df demo/noisy_predictions.csv --output demo/review.html
echo
echo "Open these in a browser:"
for page in "${pages[@]}"; do echo "  $PWD/$page"; done
echo "The submission: $after/predictions/submission.csv"
echo "Learning curves: .venv/bin/tensorboard --logdir demo/experiments"
