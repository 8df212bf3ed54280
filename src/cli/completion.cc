#include <fmt/format.h>

#include "base/text.h"
#include "cli/classic.h"
#include "cli/help.h"
#include "cli/modern.h"
#include "cli/options.h"

namespace baton::cli {
namespace {

std::string words_text() {
    std::vector<std::string> words;
    for (const auto word : all_words())
        words.emplace_back(word);
    std::ranges::sort(words);
    return join(words, " ");
}

std::string classic_words_text() {
    std::vector<std::string> words;
    for (const auto& command : classic_commands())
        if (command.unavailable.empty()) words.emplace_back(command.name);
    std::ranges::sort(words);
    return join(words, " ");
}

std::string long_options(std::span<const Flag> flags) {
    std::vector<std::string> names;
    for (const auto& flag : flags)
        for (const auto& name : split(flag.names, ' '))
            if (name.size() > 1 && !flag.doc.empty()) names.push_back("--" + name);
    return join(names, " ");
}

/// What may follow a word as its first argument and is known beforehand.
constexpr std::string_view bash_script = R"(# bash completion for baton; made by `baton completion bash`
_baton() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
    local program="${{COMP_WORDS[0]##*/}}"
    case "$before" in
        -c|--command|-command) COMPREPLY=($(compgen -W "{classic}" -- "$word")); return ;;
        -R|--promotion-rule|-promotion-rule) COMPREPLY=($(compgen -W "{rules}" -- "$word")); return ;;
        --cacert|--cert|--key|-config|--config) COMPREPLY=($(compgen -f -- "$word")); return ;;
        completion) COMPREPLY=($(compgen -W "bash zsh" -- "$word")); return ;;
        certs) COMPREPLY=($(compgen -d -- "$word")); return ;;
        config) COMPREPLY=($(compgen -W "check show docs" -- "$word")); return ;;
        check) COMPREPLY=($(compgen -f -- "$word")); return ;;
        help) COMPREPLY=($(compgen -W "{words}" -- "$word")); return ;;
    esac
    if [[ "${{COMP_WORDS[1]}}" == promotion-rule && $COMP_CWORD -ge 3 && "$word" != -* ]]; then
        COMPREPLY=($(compgen -W "{rules}" -- "$word"))
    elif [[ "$program" != baton || " ${{COMP_WORDS[*]}} " == *" -c "* ]]; then
        COMPREPLY=($(compgen -W "-c {classic_options}" -- "$word"))
    elif [[ $COMP_CWORD -eq 1 && "$word" != -* ]]; then
        COMPREPLY=($(compgen -W "{words}" -- "$word"))
    elif [[ "$word" == -* ]]; then
        COMPREPLY=($(compgen -W "-c {options}" -- "$word"))
    fi
}}
complete -F _baton baton orchestrator orchestrator-client
)";

constexpr std::string_view zsh_script = R"(#compdef baton orchestrator orchestrator-client
# zsh completion for baton; made by `baton completion zsh`
_baton() {{
    local -a words_of_baton
    words_of_baton=({described})
    case "${{words[CURRENT-1]}}" in
        -c|--command|-command) compadd -- {classic}; return ;;
        -R|--promotion-rule|-promotion-rule) compadd -- {rules}; return ;;
        --cacert|--cert|--key|-config|--config|check) _files; return ;;
        completion) compadd -- bash zsh; return ;;
        certs) _files -/; return ;;
        config) compadd -- check show docs; return ;;
        help) compadd -- {words}; return ;;
    esac
    if [[ "${{words[2]}}" == promotion-rule && $CURRENT -ge 4 && "${{words[CURRENT]}}" != -* ]]; then
        compadd -- {rules}
    elif [[ "${{words[1]:t}}" != baton || -n "${{words[(r)-c]}}" ]]; then
        compadd -- -c {classic_options}
    elif (( CURRENT == 2 )) && [[ "${{words[CURRENT]}}" != -* ]]; then
        _describe 'command' words_of_baton
    else
        compadd -- {options}
    fi
}}
if [[ "${{funcstack[1]}}" == _baton ]]; then _baton "$@"; else compdef _baton baton orchestrator orchestrator-client; fi
)";

/// 'name:what it does' for each word, quoted for zsh.
std::string described_words() {
    std::string out;
    const auto add = [&](std::string_view name, std::string_view doc) {
        std::string text(doc);
        for (size_t at = text.find('\''); at != std::string::npos; at = text.find('\'', at + 4))
            text.replace(at, 1, "'\\''");
        out += fmt::format("'{}:{}' ", name, text);
    };
    add("serve", "run the manager");
    add("config", "check, show or document the configuration");
    add("doctor", "what would stand in the way of a failover");
    add("certs", "a small certificate authority, and certificates for hosts");
    add("version", "the version");
    add("completion", "a completion script for the shell");
    add("help", "what baton can do");
    for (const auto& command : modern_commands())
        add(command.name, command.doc);
    return out;
}

}  // namespace

Result<std::string> completion(std::string_view shell) {
    if (shell != "bash" && shell != "zsh")
        return fail(ErrorKind::invalid_argument,
                    fmt::format("no completion for \"{}\": it is there for bash and zsh", shell));
    return fmt::format(
        fmt::runtime(shell == "bash" ? bash_script : zsh_script), fmt::arg("classic", classic_words_text()),
        fmt::arg("words", words_text()), fmt::arg("rules", "must prefer neutral prefer_not must_not"),
        fmt::arg("classic_options", long_options(classic_flags())),
        fmt::arg("options", long_options(modern_flags())), fmt::arg("described", described_words()));
}

}  // namespace baton::cli
