"""Can somebody else run it, read it and extend it?"""

from ilr_check.questions.question import Question

QUESTION = Question(
    id="R3.5",
    title="Can somebody else run it, read it and build on it?",
    question=(
        "The paper's code was hard to run and its story hard to follow. Is there one place that has both?"
    ),
    why="A result that only its authors can run is a claim, not a result.",
    experiment=(
        "None: this tool is the answer. `ilr-check claims` lists statements with source and rivals, "
        "`verify` judges them, `report` shows what happened, `replay` runs any verdict again."
    ),
    claims=(),
    equation="one integer seed → the same verdicts",
    answer="One claim is one short module; adding one is one file and a test that its rivals are refuted.",
    open="Whether others find it clear is for them to say.",
)
