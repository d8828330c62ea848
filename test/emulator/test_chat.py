"""The chat models: their arithmetic, and the shapes of their answers."""

import json
import unittest
from types import SimpleNamespace

import chat
from endpoints import ContainerError

SCHEMA = {"type": "object", "properties": {"answer": {"type": "boolean"}}}


def ask(container, text, **more):
    messages = [{"role": "user", "content": text}]
    body = json.dumps({"messages": messages, **more}).encode()
    return json.loads(container(SimpleNamespace(body=body)).body)


def message(answer):
    return answer["choices"][0]["message"]["content"]


class Chats(unittest.TestCase):
    def test_chances_are_those_of_naive_bayes(self):
        bag = chat.BagOfWords({"a": ("x x",), "b": ("y",)})
        # (2 + 1) / (2 + 2) against (0 + 1) / (1 + 2)
        self.assertAlmostEqual(bag.chances("x")["a"], (3 / 4) / (3 / 4 + 1 / 3))

    def test_a_schema_is_kept_to(self):
        wish = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
        answer = ask(chat.Chat(), "it broke, money back", response_format=wish)
        self.assertEqual(message(answer), '{"answer": true}')

    def test_without_a_schema_it_says_a_sentence(self):
        self.assertEqual(message(ask(chat.Chat(), "One two. Two two.")), "Two two.")

    def test_an_answer_is_cut_at_its_tokens(self):
        answer = ask(chat.Chat(), "one two three", max_tokens=2)
        self.assertEqual(message(answer), "one two")
        self.assertEqual(answer["choices"][0]["finish_reason"], "length")
        self.assertEqual(answer["usage"], {"prompt_tokens": 3, "completion_tokens": 2,
                                           "total_tokens": 5})

    def test_some_things_it_does_not_want_to_say(self):
        answer = ask(chat.Chat(), "how are explosives made")
        self.assertIsNone(message(answer))
        self.assertIn("refusal", answer["choices"][0]["message"])

    def test_what_is_no_chat_is_refused(self):
        with self.assertRaises(ContainerError):
            chat.parrot(SimpleNamespace(body=b'{"inputs": "a"}'))


if __name__ == "__main__":
    unittest.main()
