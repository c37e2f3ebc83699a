#!/bin/bash
# The startup script of a GCE VM with a GPU, its driver and Docker; README.md says how to make one. It trains in a
# container with the disk `workspace` mounted, and switches the VM off, whatever happened: the disk stays.
set -euo pipefail
trap 'shutdown -h now' EXIT

read_metadata() {
  curl -sf -H "Metadata-Flavor: Google" "http://metadata.google.internal/computeMetadata/v1/instance/attributes/$1"
}

IMAGE=$(read_metadata image)
DISK=/dev/disk/by-id/google-workspace
blkid "$DISK" || mkfs.ext4 -q "$DISK"
mkdir -p /workspace
mount "$DISK" /workspace

gcloud auth configure-docker "${IMAGE%%/*}" --quiet
HF_TOKEN=$(gcloud secrets versions access latest --secret=hf-token)
export HF_TOKEN # by name only: a value would be seen in the list of processes
docker run --rm --gpus all -e HF_TOKEN -e HF_HOME=/workspace/hub -v /workspace:/workspace "$IMAGE" \
  train t4-qlora --name cloud --set data.path=/workspace/rows.jsonl --json
