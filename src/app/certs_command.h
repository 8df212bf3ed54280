#pragma once

#include <string>
#include <vector>

namespace baton::app {

/// `baton certs DIR [--host NAME[,NAME...]]... [--days N] [--unit OU]`. Exit code 0, 1 when nothing could be
/// made, 2 for bad usage.
int certs_command(const std::vector<std::string>& args);

}  // namespace baton::app
