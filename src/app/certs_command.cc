#include "app/certs_command.h"

#include <fmt/format.h>

#include <iostream>

#include "base/text.h"
#include "cli/client.h"
#include "net/certificates.h"

namespace baton::app {
namespace {

constexpr std::string_view usage =
    "usage: baton certs DIR [--host NAME[,NAME...]]... [--days N] [--unit OU]\n"
    "Makes a small certificate authority in DIR (ca.crt, ca.key) unless one is there, and for each --host a\n"
    "certificate that is good for both ends of a connection (NAME.crt, NAME.key). No file is overwritten.\n"
    "  --host NAME[,NAME...]   a host, by all names and addresses that it is reached by; the first names the "
    "files\n"
    "  --days N                how long the hosts' certificates are good: 1 to 3650, usually 730\n"
    "  --unit OU               their organisational unit, as AgentSSLValidOUs may ask for\n";

/// "--name" and "-name"; the value is part of it or the next argument.
struct Option {
    std::string name;
    std::string value;
};

Result<Option> read_option(const std::vector<std::string>& args, size_t& at) {
    const auto& arg = args[at];
    const auto equals = arg.find('=');
    Option option{.name = arg.substr(arg.starts_with("--") ? 2 : 1), .value = {}};
    if (equals != std::string::npos) {
        option.name = option.name.substr(0, option.name.find('='));
        option.value = arg.substr(equals + 1);
    } else if (at + 1 < args.size()) {
        option.value = args[++at];
    }
    if (option.name != "host" && option.name != "days" && option.name != "unit")
        return fail(ErrorKind::invalid_argument, fmt::format("certs does not know '{}'", printable(arg)));
    if (option.value.empty())
        return fail(ErrorKind::invalid_argument, fmt::format("--{} needs a value", option.name));
    return option;
}

Result<net::CertificateOrder> read_order(const std::vector<std::string>& args) {
    net::CertificateOrder order;
    for (size_t at = 0; at < args.size(); ++at) {
        if (!args[at].starts_with('-')) {
            if (!order.directory.empty())
                return fail(ErrorKind::invalid_argument, "certs takes one directory; a host needs --host");
            order.directory = args[at];
            continue;
        }
        auto option = read_option(args, at);
        if (!option) return std::unexpected(option.error());
        if (option->name == "host")
            order.hosts.push_back(std::move(option->value));
        else if (option->name == "unit")
            order.unit = std::move(option->value);
        else if (const auto days = parse_int(option->value);
                 days && *days > 0 && *days <= net::certificate_days_max)
            order.days = static_cast<int>(*days);
        else
            return fail(ErrorKind::invalid_argument, "--days is a number from 1 to 3650",
                        printable(option->value));
    }
    if (order.directory.empty()) return fail(ErrorKind::invalid_argument, "certs needs a directory");
    return order;
}

void tell(const net::Certificates& made) {
    if (made.made_authority) {
        std::cout << fmt::format("{}: a new authority; every host needs this file, none needs its key\n",
                                 made.authority);
    }
    for (const auto& file : made.files)
        std::cout << fmt::format("{}: with its key in {}key\n", file, file.substr(0, file.size() - 3));
    if (!made.made_authority && made.files.empty())
        std::cout << fmt::format("{}: the authority is there; --host NAME makes a host's certificate\n",
                                 made.authority);
}

}  // namespace

int certs_command(const std::vector<std::string>& args) {
    if (!args.empty() &&
        (args[0] == "help" || args[0] == "--help" || args[0] == "-help" || args[0] == "-h")) {
        std::cout << usage;
        return 0;
    }
    const auto order = read_order(args);
    if (!order) {
        std::cerr << order.error().text() << "\n" << usage;
        return cli::exit_usage;
    }
    const auto made = net::make_certificates(*order);
    if (!made) {
        std::cerr << made.error().text() << "\n";
        return made.error().kind == ErrorKind::invalid_argument ? cli::exit_usage : 1;
    }
    tell(*made);
    return 0;
}

}  // namespace baton::app
