"""The files for clouds: none was run, so their fields, commands and references are held against what is known."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

from gemmalocal.cli import group
from gemmalocal.errors import RecipeError
from gemmalocal.recipe import recipe_file

ROOT = Path(__file__).parents[2]
CLOUD = ROOT / "recipes" / "cloud"


class Strict(BaseModel):
    """An object of Kubernetes or SkyPilot with the fields that we use, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SecretKey(Strict):
    name: str
    key: str


class ValueFrom(Strict):
    secretKeyRef: SecretKey


class Variable(Strict):
    name: str
    value: str | None = None
    valueFrom: ValueFrom | None = None


class Resources(Strict):
    requests: dict[Literal["cpu", "memory", "storage"], str] = Field(default_factory=dict)
    limits: dict[Literal["cpu", "memory", "nvidia.com/gpu"], str] = Field(default_factory=dict)


class Mount(Strict):
    name: str
    mountPath: str


class Container(Strict):
    image: str = Field(pattern=r"^REGION-docker\.pkg\.dev/PROJECT/[a-z]+/[a-z]+:latest$")
    name: str = "only"
    args: list[str]
    env: list[Variable]
    resources: Resources
    volumeMounts: list[Mount]


class Claim(Strict):
    claimName: str


class Csi(Strict):
    driver: Literal["gcsfuse.run.googleapis.com"]
    volumeAttributes: dict[Literal["bucketName"], str]


class Volume(Strict):
    name: str
    persistentVolumeClaim: Claim | None = None
    csi: Csi | None = None


class Pod(Strict):
    containers: list[Container] = Field(min_length=1, max_length=1)
    volumes: list[Volume]
    nodeSelector: dict[str, str]
    restartPolicy: Literal["Never", "OnFailure"] | None = None
    maxRetries: int | None = None
    timeoutSeconds: int | None = None


class Template(Strict):
    spec: Pod


class GkeSpec(Strict):
    backoffLimit: int
    template: Template


class Metadata(Strict):
    name: str = Field(pattern="^[a-z][a-z0-9-]*$")
    labels: dict[str, str] = Field(default_factory=dict)


class GkeJob(Strict):
    apiVersion: Literal["batch/v1"]
    kind: Literal["Job"]
    metadata: Metadata
    spec: GkeSpec


class ClaimSpec(Strict):
    accessModes: list[Literal["ReadWriteOnce"]]
    storageClassName: str
    resources: Resources


class DiskClaim(Strict):
    apiVersion: Literal["v1"]
    kind: Literal["PersistentVolumeClaim"]
    metadata: Metadata
    spec: ClaimSpec


class Tasks(Strict):
    taskCount: int
    template: Template


class Annotations(Strict):
    annotations: dict[Literal["run.googleapis.com/execution-environment"], Literal["gen2"]]


class Execution(Strict):
    metadata: Annotations
    spec: Tasks


class ExecutionSpec(Strict):
    template: Execution


class CloudRunJob(Strict):
    apiVersion: Literal["run.googleapis.com/v1"]
    kind: Literal["Job"]
    metadata: Metadata
    spec: ExecutionSpec


class SkyResources(Strict):
    accelerators: dict[Literal["L4", "T4"], int]
    memory: str
    disk_size: int


class SkyMount(Strict):
    source: str
    mode: Literal["MOUNT_CACHED"]


class SkyTask(Strict):
    name: str
    workdir: str
    resources: SkyResources
    envs: dict[str, str | None]
    secrets: dict[str, None]
    file_mounts: dict[str, SkyMount]
    setup: str
    run: str


def documents(name: str) -> list[Any]:
    return list(YAML(typ="safe").load_all((CLOUD / name).read_text(encoding="utf-8")))


def cloud_run() -> CloudRunJob:
    (found,) = documents("cloud-run-job.yaml")
    return CloudRunJob.model_validate(found)


def gke() -> tuple[DiskClaim, GkeJob]:
    claim, job = documents("gke-job.yaml")
    return DiskClaim.model_validate(claim), GkeJob.model_validate(job)


def skypilot() -> SkyTask:
    (found,) = documents("skypilot.yaml")
    return SkyTask.model_validate(found)


def pods() -> dict[str, Pod]:
    return {
        "cloud-run-job.yaml": cloud_run().spec.template.spec.template.spec,
        "gke-job.yaml": gke()[1].spec.template.spec,
    }


def commands() -> dict[str, list[str]]:
    """What each file runs, without the program's name."""
    script = (CLOUD / "gce-startup.sh").read_text(encoding="utf-8")
    in_docker = shlex.split(script[script.index("docker run") :].replace("\\\n", " "))
    readme = (CLOUD / "README.md").read_text(encoding="utf-8")
    several = shlex.split(next(line for line in readme.splitlines() if "torchrun" in line))
    told = shlex.split(next(line for line in readme.splitlines() if line.startswith("    gemmalocal train")))
    return {
        **{name: pod.containers[0].args for name, pod in pods().items()},
        "gce-startup.sh": in_docker[in_docker.index("$IMAGE") + 1 :],
        "skypilot.yaml": shlex.split(skypilot().run)[1:],
        "README.md": told[1:],
        "torchrun": several[several.index("gemmalocal") + 1 :],
    }


def test_all_run_the_same_command_and_it_is_one_of_ours() -> None:
    found = commands()
    several = found.pop("torchrun")
    first = found["README.md"]
    assert all(command == first for command in found.values()), found
    for words in (first, several, ["resume", "cloud", "--json"]):
        name, command, rest = group.resolve_command(group.make_context("gemmalocal", list(words)), list(words))
        assert command is not None, name
        given = command.make_context(name, list(rest)).params
        if name == "train":
            loaded = recipe_file.load(given["recipe"], given["overrides"])
            assert (loaded.backend, loaded.data.path) == ("torch", "/workspace/rows.jsonl")


@pytest.mark.parametrize("name", sorted(pods()))
def test_a_job_asks_for_a_gpu_a_workspace_and_a_secret(name: str) -> None:
    pod = pods()[name]
    container = pod.containers[0]
    assert container.resources.limits["nvidia.com/gpu"] == "1"
    selector = {
        "cloud-run-job.yaml": "run.googleapis.com/accelerator",
        "gke-job.yaml": "cloud.google.com/gke-accelerator",
    }
    assert pod.nodeSelector == {selector[name]: "nvidia-l4"}
    assert [mount.mountPath for mount in container.volumeMounts] == ["/workspace"]
    assert [mount.name for mount in container.volumeMounts] == [volume.name for volume in pod.volumes]
    (token,) = [variable for variable in container.env if variable.name == "HF_TOKEN"]
    assert token.value is None
    assert token.valueFrom is not None
    assert "docker" not in container.args


def test_a_job_is_not_begun_twice_and_its_disk_is_claimed() -> None:
    claim, job = gke()
    (volume,) = job.spec.template.spec.volumes
    assert volume.persistentVolumeClaim == Claim(claimName=claim.metadata.name)
    assert job.spec.backoffLimit == 0
    limits = cloud_run().spec.template.spec.template.spec
    assert limits.maxRetries == 0
    cpu, memory = (limits.containers[0].resources.limits[key] for key in ("cpu", "memory"))
    assert int(cpu) >= 4  # Cloud Run's least beside an L4
    assert int(memory.removesuffix("Gi")) >= 16


def test_skypilot_asks_for_its_token_and_mounts_the_workspace() -> None:
    task = skypilot()
    assert task.secrets == {"HF_TOKEN": None}
    assert task.envs["GEMMALOCAL_HOME"] in task.file_mounts
    assert task.file_mounts["/workspace"].source == "${BUCKET}"
    assert task.envs["BUCKET"] is None  # asked for
    assert re.findall(r"\.\[(\w+)\]", task.setup) == ["cuda"]


def test_the_image_installs_an_extra_that_there_is_and_keeps_its_workspace() -> None:
    lines = (CLOUD / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    assert [word for word, _ in steps] == ["FROM", "ARG", "COPY", "RUN", "ENV", "ENV", "VOLUME", "ENTRYPOINT"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = "\n".join(lines)
    (extra,) = re.findall(r"/src\[(\w+)\]", text)
    assert extra in project["optional-dependencies"]
    (wanted,) = re.findall(r'"(torch>=[\d.]+)"', text)
    assert wanted in project["optional-dependencies"]["torch"]
    assert steps[-1][1] == '["gemmalocal"]'
    assert "gemmalocal" in project["scripts"]
    assert "GEMMALOCAL_HOME=/workspace" in text
    assert not any("TOKEN" in given for _, given in steps)


def test_the_startup_script_is_bash_and_shows_no_token() -> None:
    assert subprocess.run(["bash", "-n", str(CLOUD / "gce-startup.sh")], check=False).returncode == 0
    script = (CLOUD / "gce-startup.sh").read_text(encoding="utf-8")
    assert "-e HF_TOKEN " in script  # by name
    assert "set -x" not in script
    assert "HF_TOKEN=$HF_TOKEN" not in script


def test_no_file_holds_a_token() -> None:
    for file in CLOUD.iterdir():
        assert not re.search(r"hf_[A-Za-z0-9]{10,}", file.read_text(encoding="utf-8")), file


def test_a_tpu_is_refused_as_any_unknown_backend(recipe_path: Path) -> None:
    with pytest.raises(RecipeError, match="backend") as found:
        recipe_file.load(str(recipe_path), ["backend=tpu"])
    assert "torch" in found.value.message
    assert "TPUs: no" in (CLOUD / "README.md").read_text(encoding="utf-8")
