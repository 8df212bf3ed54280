#include "app/main.h"

int main(int argc, char** argv) {
    return baton::app::run(argc, argv);
}
