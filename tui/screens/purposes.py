"""What each screen is for, in the words in which one would say it to a friend: the beginning of its help."""

from __future__ import annotations

from textual.screen import Screen

from tui.screens.dialog import Dialog

PURPOSES = {
    "HomeScreen": """\
Here you see all that you have trained, and begin new things. A *run* is one training of one model on your rows. It goes
on when you close the app. The loss on *held-out* rows, which are never trained on, says whether a run learns.""",
    "ModelsScreen": """\
Here you see which models are on this disk and which can be fetched from the Hugging Face Hub, and whether they fit this
machine's memory: to train, and to chat with.""",
    "NewRunScreen": """\
Here you choose what a new run begins with: a recipe says which model is trained on which rows, and how. Each card says
for whom it is, and whether it fits this machine. On the next screen you can change everything.""",
    "RecipeScreen": """\
Here you see what a run will do, and change it, before it begins. Beside the fields stands what it will take: memory,
time, and whether that fits. What is wrong is marked at its field at once.""",
    "TrainScreen": """\
Here you watch one run. The curve is its loss: how far the model still is from what your rows say. It should fall. The
circles are the loss on held-out rows; where they rise again, the model begins to learn by heart.""",
    "DocumentsScreen": """\
Here you turn documents into rows that a model can be trained on. Choose files, folders or web addresses, and who writes
the questions and answers: a model on this machine, a server, or simple rules.""",
    "PreparingScreen": """\
Here you watch documents being read and rows being made. What could not be read is named with the reason, and what was
rejected is counted.""",
    "DatasetScreen": """\
Here you read rows as a model is trained on them, one after the other, and mend those that are wrong. What the model is
to learn stands out from what it is given.""",
    "ReviewScreen": """\
Here you say of twenty rows whether they are good. That tells how good the whole dataset is.""",
    "CompareScreen": """\
Here you ask the base model and the tuned one the same, and see both answers side by side. You may vote for the better
one without knowing which it is by heart.""",
    "VerdictScreen": """\
Here you learn whether a run helped: on rows that it never saw, on general questions, and on neutral text, with how sure
that is.""",
    "ExportScreen": """\
Here you take what was trained to other programs: as an adapter, as a whole model, or for llama.cpp, LM Studio and
Ollama. Each export is loaded again and must show that it kept what was learned.""",
    "PreferencesScreen": """\
Here you choose between two answers of a model, and so make rows that say which answers you want.""",
}
DIALOG = "This asks for one thing, over the screen that it came from. Escape leads back and changes nothing."


def purpose_of(screen: Screen[object]) -> str:
    """Its prose; of a dialog, what all dialogs are."""
    said = PURPOSES.get(type(screen).__name__, "")
    return said or (DIALOG if isinstance(screen, Dialog) else "")
