"""What other benchmarks call the types of IFEval: FollowRAG's 22 categories, ReasonIF's six.

Sources: Dong et al., "Toward General Instruction-Following Alignment for RAG", arXiv:2410.09584
(FollowRAG); Kwon et al., "ReasonIF", arXiv:2510.15211, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gristmill.constraints.parts import Scope


@dataclass(frozen=True, slots=True)
class Named:
    """A type under another name, with the scope and the parameters that the name sets."""

    cid: str
    params: Mapping[str, str] = field(default_factory=dict)
    scope: Scope = "response"


FOLLOW_RAG = {
    "cases_capital_words": "change_case:capital_word_frequency",
    "cases_uppercase": "change_case:english_capital",
    "cases_lowercase": "change_case:english_lowercase",
    "format_repeat_question": "combination:repeat_prompt",
    "structure_placeholder": "detectable_content:number_placeholders",
    "position_postscript": "detectable_content:postscript",
    "format_json": "detectable_format:json_format",
    "structure_sections": "detectable_format:multiple_sections",
    "structure_bullets": "detectable_format:number_bullet_lists",
    "structure_highlights": "detectable_format:number_highlighted_sections",
    "structure_title": "detectable_format:title",
    "keywords_inclusion": "keywords:existence",
    "keywords_exclusion": "keywords:forbidden_words",
    "keywords_frequency": "keywords:frequency",
    "format_language": "language:response_language",
    "position_first_word": "length_constraints:nth_paragraph_first_word",
    "length_paragraph": "length_constraints:number_paragraphs",
    "length_sentence": "length_constraints:number_sentences",
    "length_words": "length_constraints:number_words",
    "format_no_commas": "punctuation:no_comma",
    "position_end_with": "startend:end_checker",
    "format_quotation": "startend:quotation",
}
"""Name in its files -> type of IFEval; the parameters have the same names."""

REASON_IF = {
    "reasoning:language": Named("language:response_language", scope="reasoning"),
    "reasoning:number_words": Named(
        "length_constraints:number_words", {"relation": "less than"}, "reasoning"
    ),
    "reasoning:english_capital": Named("change_case:english_capital", scope="reasoning"),
    "reasoning:end_checker": Named("startend:end_checker", scope="reasoning"),
    "reasoning:json_format": Named("detectable_format:json_format", scope="reasoning"),
    "reasoning:no_comma": Named("punctuation:no_comma", scope="reasoning"),
}
"""Our names; each is a type of IFEval on the reasoning alone."""

NAMES = REASON_IF | {name: Named(cid) for name, cid in FOLLOW_RAG.items()}
