#include "doctor/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "base/json_writer.h"
#include "base/text.h"

namespace baton::doctor {

std::string_view to_string(Level level) {
    switch (level) {
        case Level::pass:
            return "pass";
        case Level::warn:
            return "warn";
        case Level::fail:
            return "fail";
    }
    return "fail";
}

size_t Report::count(Level level) const {
    return static_cast<size_t>(std::ranges::count(findings, level, &Finding::level));
}

int Report::exit_code() const {
    if (count(Level::fail) > 0) return 2;
    return count(Level::warn) > 0 ? 1 : 0;
}

namespace {

struct Look {
    std::string_view word, colour;
};

Look look_of(Level level) {
    switch (level) {
        case Level::pass:
            return {"ok", "\x1b[32m"};
        case Level::warn:
            return {"warn", "\x1b[33m"};
        case Level::fail:
            break;
    }
    return {"FAIL", "\x1b[1;31m"};
}

constexpr std::string_view strong = "\x1b[1m", faint = "\x1b[2m", plain = "\x1b[0m";

class Writer {
  public:
    Writer(const Report& report, bool colour) : report_(report), colour_(colour) {
        for (const auto& f : report.findings)
            width_ = std::max(width_, f.check.size());
    }

    std::string take() {
        for (const auto& section : report_.sections)
            write_section(section);
        write_summary();
        return std::move(text_);
    }

  private:
    std::string painted(std::string_view colour, std::string_view text) const {
        return colour_ ? fmt::format("{}{}{}", colour, text, plain) : std::string(text);
    }

    void write_section(const Section& section) {
        std::vector<const Finding*> common;
        std::vector<std::string> servers;
        std::map<std::string, std::vector<const Finding*>> by_server;
        for (const auto& f : report_.findings) {
            if (f.cluster != section.cluster) continue;
            if (!f.about_server) {
                common.push_back(&f);
                continue;
            }
            if (!by_server.contains(f.subject)) servers.push_back(f.subject);
            by_server[f.subject].push_back(&f);
        }
        if (common.empty() && servers.empty()) return;
        text_ += painted(strong, section.heading) + "\n";
        for (const auto* f : common)
            write_finding(*f, "  ");
        for (const auto& server : servers) {
            text_ += "  " + painted(strong, server) + "\n";
            for (const auto* f : by_server[server])
                write_finding(*f, "    ");
        }
        text_ += "\n";
    }

    void write_finding(const Finding& f, std::string_view indent) {
        const auto [word, colour] = look_of(f.level);
        const auto padded = fmt::format("{:<4}", word);
        text_ += fmt::format("{}{}  {:<{}}  {}\n", indent, painted(colour, padded), f.check, width_, f.text);
        if (f.remedy.empty()) return;
        for (const auto& line : split(f.remedy, '\n'))
            text_ += fmt::format("{}      {}\n", indent, painted(faint, "> ") + line);
    }

    void write_summary() {
        const auto counted = [this](Level level, std::string_view what) {
            const auto n = report_.count(level);
            const auto text = fmt::format("{} {}", n, what);
            return n == 0 ? text : painted(look_of(level).colour, text);
        };
        fmt::format_to(std::back_inserter(text_), "{}, {}, {}\n", counted(Level::pass, "ok"),
                       counted(Level::warn, "warn"), counted(Level::fail, "FAIL"));
    }

    const Report& report_;
    bool colour_;
    size_t width_ = 0;
    std::string text_;
};

std::string_view heading_of(const Report& report, const std::string& cluster) {
    const auto at = std::ranges::find(report.sections, cluster, &Section::cluster);
    return at == report.sections.end() || cluster.empty() ? std::string_view() : at->heading;
}

}  // namespace

std::string as_text(const Report& report, bool colour) {
    return Writer(report, colour).take();
}

std::string as_json(const Report& report) {
    JsonWriter out;
    out.begin_object().key("checks").begin_array();
    for (const auto& f : report.findings) {
        out.begin_object();
        out.field("id", f.check).field("title", f.title).field("level", to_string(f.level));
        out.field("cluster", f.cluster).field("clusterHeading", heading_of(report, f.cluster));
        out.field("subject", f.subject).field("text", f.text).field("remedy", f.remedy);
        out.end_object();
    }
    out.end_array().key("summary").begin_object();
    out.field("pass", report.count(Level::pass)).field("warn", report.count(Level::warn));
    out.field("fail", report.count(Level::fail)).field("exitCode", report.exit_code());
    out.end_object().end_object();
    return out.take() + "\n";
}

}  // namespace baton::doctor
