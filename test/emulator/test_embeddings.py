"""Embeddings, reranker and classifier: their arithmetic, and the shapes of their answers."""

import json
import unittest
from types import SimpleNamespace

import embeddings
from endpoints import ContainerError


def ask(container, **body):
    return json.loads(container(SimpleNamespace(body=json.dumps(body).encode())).body)


class Embeddings(unittest.TestCase):
    def test_a_text_is_as_long_as_another(self):
        for vector in ask(embeddings.tei, inputs=["a kettle", "two pots, a lid"]):
            self.assertAlmostEqual(sum(x * x for x in vector), 1)

    def test_openai_has_the_last_first_and_numbers_them(self):
        data = ask(embeddings.openai, input=["a", "b"])["data"]
        self.assertEqual([part["index"] for part in data], [1, 0])
        self.assertEqual(data[1]["embedding"], embeddings.embed("a"))

    def test_the_reranker_has_the_likest_first(self):
        scores = ask(embeddings.reranker, query="pot", texts=["a lamp", "pot", "a pot"])
        self.assertEqual(scores[0]["index"], 1)
        self.assertAlmostEqual(scores[0]["score"], 1)
        self.assertEqual(sorted(scores, key=lambda pair: -pair["score"]), scores)

    def test_labels_are_in_order_and_their_scores_make_one(self):
        answer, = ask(embeddings.zero_shot, inputs=["a pot"],
                      parameters={"candidate_labels": ["lamp", "pot"]})
        self.assertEqual(answer["labels"], ["pot", "lamp"])
        self.assertAlmostEqual(sum(answer["scores"]), 1)

    def test_too_many_texts_are_refused(self):
        with self.assertRaises(ContainerError) as refused:
            ask(embeddings.tei, inputs=["a"] * (embeddings.MAX_BATCH + 1))
        self.assertEqual(refused.exception.status, 413)


if __name__ == "__main__":
    unittest.main()
