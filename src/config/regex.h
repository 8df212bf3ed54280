#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"

/// Inside of Pattern: from the text of a regular expression to a program for a machine that follows all
/// possibilities at once.
namespace baton::config::regex {

using Set = std::bitset<256>;

enum class Op : uint8_t {
    one_of,            ///< a byte out of sets[first]
    split,             ///< first, and if that leads nowhere, second
    jump,              ///< first
    group_begins,      ///< the first group only: nobody asks for others
    group_ends,        ///< likewise
    text_begins,       ///< \A, ^
    text_ends,         ///< \z, $
    line_begins,       ///< ^ under (?m)
    line_ends,         ///< $ under (?m)
    word_boundary,     ///< \b
    no_word_boundary,  ///< \B
    found
};

struct Instruction {
    Op op = Op::found;
    uint32_t first = 0;
    uint32_t second = 0;
};

struct Program {
    std::vector<Instruction> code;  ///< begins at 0
    std::vector<Set> sets;
    size_t groups = 0;
};

/// Longest program: a search takes as many steps for each byte of the subject, at most.
inline constexpr size_t longest_program = 3'000;

/// Error invalid_argument says what is wrong with the expression; `who` is empty.
Result<Program> compile(std::string_view text);

}  // namespace baton::config::regex
