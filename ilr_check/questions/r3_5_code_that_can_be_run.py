from ilr_check.questions.question import Question

QUESTION = Question(
    id="R3.5",
    title="Can somebody else run it, read it and build on it?",
    question=(
        "The reviewer found the paper's code hard to run and its argument hard to follow. Is there one place "
        "that has both?"
    ),
    why="A result that only its authors can run is a claim and not a result.",
    experiment=(
        "None: this tool is the answer. `ilr-check claims` lists the statements with their sources and rival "
        "theories, `verify` judges them, `report` shows what happened, and `replay` runs any verdict again."
    ),
    claims=(),
    equation="one integer seed → the same verdicts",
    answer=(
        "Each claim is one short module. To add a claim, add one file and a test which shows that its rivals "
        "are refuted."
    ),
    open="Whether others find the tool clear is for them to say.",
)
