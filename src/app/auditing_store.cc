#include "app/auditing_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <syslog.h>
#include <unistd.h>

#include <cstring>

namespace baton::app {
namespace {

/// Tabs and line ends separate fields and entries in the file.
std::string one_field(std::string text) {
    for (auto& c : text) {
        if (c == '\t' || c == '\n' || c == '\r') c = ' ';
    }
    return text;
}

class AuditingStore final : public store::Store {
  public:
    AuditingStore(std::unique_ptr<store::Store> inner, std::string file, bool to_syslog)
        : inner_(std::move(inner)), file_(std::move(file)), to_syslog_(to_syslog) {}

    const store::State& state() const override { return inner_->state(); }
    int64_t new_id() override { return inner_->new_id(); }
    void apply(store::Command command) override {
        if (const auto* audit = std::get_if<store::AddAudit>(&command)) write(audit->entry);
        inner_->apply(std::move(command));
    }
    Task<Result<void>> apply_durably(store::Command command) override {
        return inner_->apply_durably(std::move(command));
    }
    Task<Result<void>> flush() override { return inner_->flush(); }
    size_t queued() const override { return inner_->queued(); }
    Result<void> health() const override { return inner_->health(); }

  private:
    void write(const store::AuditEntry& e) {
        if (!file_.empty()) append(e);
        if (to_syslog_) {
            syslog(LOG_INFO, "auditType:%s instance:%s cluster:%s message:%s", e.type.c_str(),
                   e.instance.text().c_str(), e.cluster_name.c_str(), one_field(e.message).c_str());
        }
    }

    /// Opened for each entry, so that the file may be rotated under us.
    void append(const store::AuditEntry& e) {
        const auto line = fmt::format("{}\t{}\t{}\t{}\t[{}]\t{}\t\n", plain_time(e.at), e.type,
                                      e.instance.host, e.instance.port, e.cluster_name, one_field(e.message));
        const int fd = ::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        const bool written =
            fd >= 0 && ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
        if (!written && !std::exchange(complained_, true)) {
            spdlog::error("AuditLogFile {}: {}; audit entries go to the database only", file_,
                          std::strerror(errno));
        }
        if (written) complained_ = false;
        if (fd >= 0) ::close(fd);
    }

    std::unique_ptr<store::Store> inner_;
    std::string file_;
    bool to_syslog_;
    bool complained_ = false;
};

}  // namespace

std::unique_ptr<store::Store> with_audit_trail(std::unique_ptr<store::Store> inner,
                                               const config::Config& config) {
    if (config.AuditLogFile.empty() && !config.AuditToSyslog) return inner;
    return std::make_unique<AuditingStore>(std::move(inner), config.AuditLogFile, config.AuditToSyslog);
}

}  // namespace baton::app
