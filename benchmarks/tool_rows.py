"""What a small tune does for calls of tools: 300 drawn rows over 8 tools, held-out calls before and after.

    python -m benchmarks.tool_rows FOLDER [MODEL]

writes rows.jsonl (and tools.json, for chats) into FOLDER, trains MODEL (the demo's, Gemma 3 270M) by the recipe
`function-calling`, exports the run as F16 GGUF, asks llama.cpp for the calls of the same held-out rows, and prints how
many were right each time, and the seconds. `python -m benchmarks.tool_rows FOLDER rows` only writes the files.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gemmalocal.evaluation.calls import figures
from gemmalocal.jobs import history
from gemmalocal.jobs.event_lines import decode
from gemmalocal.jobs.events import Notice

ROWS, TOLD = 300, 2  # rows, and tools that each declares
TRAIN = ("train.epochs=2", "train.learning_rate=5e-4", "train.evaluate_every=45", "data.max_length=512")
Draw = Callable[[random.Random], tuple[str, dict[str, Any]]]
CITIES = ("Paris", "Berlin", "Nairobi", "Lima", "Osaka", "Cairo", "Oslo", "Quito", "Hanoi", "Zagreb", "Dublin", "Accra")
NAMES = ("Ada", "Ben", "Chen", "Dora", "Emil", "Fatima", "Grace", "Hugo", "Ines", "Jonas", "Kira", "Luca")
ROOMS = ("kitchen", "bedroom", "office", "garage", "hall", "attic", "bathroom", "cellar")
SONGS = ("Blue Train", "Clair de Lune", "Hey Jude", "So What", "Imagine", "Take Five", "Yesterday", "Halo")
THINGS = ("milk", "two lemons", "bread", "a notebook", "batteries", "green tea", "rice", "a birthday card")
MONEY = ("EUR", "USD", "JPY", "GBP", "CHF", "SEK")


def _weather(lot: random.Random) -> tuple[str, dict[str, Any]]:
    city, unit = lot.choice(CITIES), lot.choice(("celsius", "fahrenheit"))
    asked = lot.choice(("How warm is it in {} now, in {}?", "Tell me the weather in {} in {}.", "{}'s weather, {}?"))
    return asked.format(city, unit), {"city": city, "unit": unit}


def _light(lot: random.Random) -> tuple[str, dict[str, Any]]:
    room, on = lot.choice(ROOMS), lot.random() < 0.5
    asked = lot.choice(("Turn {} the light in the {}.", "Switch {} the {} lamp, please.", "Light {}, {}."))
    return asked.format("on" if on else "off", room), {"room": room, "on": on}


def _timer(lot: random.Random) -> tuple[str, dict[str, Any]]:
    minutes, label = lot.randrange(2, 90), lot.choice(("pasta", "tea", "laundry", "a nap", "the cake", "a break"))
    asked = lot.choice(("Set a timer of {} minutes for {}.", "Remind me in {} minutes: {}.", "{} minutes for {}."))
    return asked.format(minutes, label), {"minutes": minutes, "label": label}


def _message(lot: random.Random) -> tuple[str, dict[str, Any]]:
    name, text = lot.choice(NAMES), lot.choice(("I am late", "call me", "dinner is ready", "see you at 8", "thank you"))
    asked = lot.choice(('Write to {}: "{}".', 'Text {} "{}".', 'Send {} the message "{}".'))
    return asked.format(name, text), {"to": name, "text": text}


def _music(lot: random.Random) -> tuple[str, dict[str, Any]]:
    song, volume = lot.choice(SONGS), lot.randrange(1, 11)
    asked = lot.choice(("Play {} at volume {}.", "I want to hear {}, volume {}.", "Put on {} with volume {}."))
    return asked.format(song, volume), {"title": song, "volume": volume}


def _shopping(lot: random.Random) -> tuple[str, dict[str, Any]]:
    items = lot.sample(THINGS, lot.choice((1, 2)))
    asked = lot.choice(("Put {} on the shopping list.", "We need {}.", "Add {} to my list."))
    return asked.format(" and ".join(items)), {"items": items}


def _convert(lot: random.Random) -> tuple[str, dict[str, Any]]:
    amount, (source, target) = lot.randrange(5, 2000), lot.sample(MONEY, 2)
    asked = lot.choice(("How much is {} {} in {}?", "Convert {} {} to {}.", "{} {} in {}, please."))
    return asked.format(amount, source, target), {"amount": amount, "from": source, "to": target}


def _event(lot: random.Random) -> tuple[str, dict[str, Any]]:
    name, day, hour = lot.choice(NAMES), lot.choice(("Monday", "Tuesday", "Friday", "Sunday")), lot.randrange(8, 21)
    asked = lot.choice(("Meet {} on {} at {}:00.", "Put a meeting with {} on {}, {}:00.", "{}, {}, {}:00: a meeting."))
    return asked.format(name, day, hour), {"title": "meeting", "with": {"name": name}, "day": day, "hour": hour}


TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
PERSON = {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}
DRAWN: dict[str, tuple[Draw, str, dict[str, Any]]] = {
    "get_weather": (_weather, "The weather now.", {"city": TEXT, "unit": {**TEXT, "enum": ["celsius", "fahrenheit"]}}),
    "set_light": (_light, "Turns a light on or off.", {"room": TEXT, "on": {"type": "boolean"}}),
    "start_timer": (_timer, "A timer.", {"minutes": WHOLE, "label": TEXT}),
    "send_message": (_message, "Sends a message.", {"to": TEXT, "text": TEXT}),
    "play_music": (_music, "Plays a song.", {"title": TEXT, "volume": WHOLE}),
    "add_to_list": (_shopping, "Adds to the shopping list.", {"items": {"type": "array", "items": TEXT}}),
    "convert_money": (_convert, "Converts money.", {"amount": WHOLE, "from": TEXT, "to": TEXT}),
    "add_event": (_event, "Adds to the calendar.", {"title": TEXT, "with": PERSON, "day": TEXT, "hour": WHOLE}),
}


def tool(name: str) -> dict[str, Any]:
    """The declaration of one of the eight."""
    _, about, properties = DRAWN[name]
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}


def rows(count: int = ROWS, seed: int = 5) -> Iterator[dict[str, Any]]:
    """Drawn rows, no two with the same question; one in twelve asks what no tool is for."""
    lot, asked = random.Random(seed), set[str]()
    while len(asked) < count:
        name = lot.choice(list(DRAWN))
        question, arguments = DRAWN[name][0](lot)
        none_due = lot.random() < 1 / 12
        others = lot.sample([other for other in DRAWN if other != name], TOLD if none_due else TOLD - 1)
        told = others if none_due else [*others, name]
        lot.shuffle(told)
        if question in asked:
            continue
        asked.add(question)
        call = {"type": "function", "function": {"name": name, "arguments": arguments}}
        reply = {"content": "I have no tool for that."} if none_due else {"tool_calls": [call]}
        messages = [{"role": "user", "content": question}, {"role": "assistant", **reply}]
        yield {"tools": [tool(other) for other in told], "messages": messages}


def write(folder: Path) -> Path:
    """The rows, and the eight tools with canned answers for a chat."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    answers = [
        {"name": "get_weather", "answer": {"celsius": 21}},
        *({"name": name, "answer": "done"} for name in DRAWN),
    ]
    table = {"tools": [tool(name) for name in DRAWN], "answers": answers}
    (folder / "tools.json").write_text(json.dumps(table, indent=2), encoding="utf-8")
    return file


def gemmalocal(*words: str) -> None:
    """The command line; what it says goes on to ours."""
    subprocess.run([sys.executable, "-m", "gemmalocal", *words], check=True)


def exported(run: Path, file: Path) -> str:
    """How many calls of the run's held-out rows its GGUF makes as it should, by llama.cpp."""
    import xllamacpp

    from gemmalocal.data.layout import tokenizer as tokenizer_of
    from gemmalocal.data.token_store import load
    from gemmalocal.pipelines.shared.held_out_calls import call_span
    from gemmalocal.recipe.schema import Recipe
    from gemmalocal.weights.locate import locate

    recipe = Recipe.model_validate(history.spec(run))
    folder = locate(recipe.model, lambda what, done, total: None)
    tokenizer = tokenizer_of(folder, recipe.data, run / "examples")
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.n_ctx, parameters.cpuparams.n_threads = str(file), 2048, 2
    parameters.verbosity, parameters.n_parallel = 0, 1  # all of the context for one request
    server = xllamacpp.Server(parameters)
    _, held_out, _ = load(run / "examples")
    answers, references = [], []
    for place in range(len(held_out)):
        example = held_out[place]
        start, end = call_span(example, tokenizer)
        ids = example.ids.tolist()
        asked = {"prompt": ids[:start], "n_predict": 2 * (end - start), "temperature": 0, "stop": ["<end_of_turn>"]}
        answer = server.handle_completions(asked)
        if "choices" not in answer:
            raise SystemExit(f"llama.cpp refused a row of {start} tokens: {answer}")
        answers.append(answer["choices"][0]["text"])
        references.append(tokenizer.decode(ids[start:end]))
    return str(figures(answers, references))


def main() -> None:
    """Write, train, export, ask."""
    folder, model = Path(sys.argv[1]), (*sys.argv[2:], "gemma-3-270m-demo")[0]
    file = write(folder)
    if model == "rows":
        return
    began, name = time.monotonic(), f"tools-{int(time.time())}"
    given = (f"model={model}", f"data.path={file}", "samples.calls=1000", "samples.calls_during=false", *TRAIN)
    gemmalocal("train", "function-calling", "--name", name, *(word for each in given for word in ("--set", each)))
    trained = time.monotonic() - began
    run = history.find_run(name)
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    told = [event.text for event in map(decode, lines) if isinstance(event, Notice) and "held-out calls" in event.text]
    print("\n".join([*told, f"{trained:.0f} seconds in all"]))
    gemmalocal("export", name, "--to", "gguf", "--type", "F16")
    (gguf,) = (run / "exports").glob("**/*.gguf")
    print(f"F16 GGUF in llama.cpp: {exported(run, gguf)}")


if __name__ == "__main__":
    main()
