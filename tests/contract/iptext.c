/* Plays OpenWrt's libiptext: compiled thrice, with INIT=init_extensions and EXTENSIONS="libxt_", then for 4 and 6.
 *
 * Being loaded registers nothing. Calling INIT writes a line into the file named by $INIT_RECORD, then registers the
 * real extensions by loading them: they lie in a folder where libxtables does not look. So nothing but this call, ahead
 * of the first look-up, makes a match or target known. A second call ends the process, as libxtables would.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN "/opt/extensions"
#define NAME_OF(name) #name
#define NAME(name) NAME_OF(name)

/* Of libxtables: what is known so far, and the address family in use, whose first field is the kernel module's name. */
extern void *xtables_matches, *xtables_targets, *xtables_pending_matches, *xtables_pending_targets;
extern const char *const *afinfo;

static void load(const char *file)
{
    char path[512];
    snprintf(path, sizeof path, HIDDEN "/%s", file);
    if (!dlopen(path, RTLD_NOW))
        fprintf(stderr, "%s\n", dlerror());
}

static void record(void)
{
    int any = xtables_matches || xtables_targets || xtables_pending_matches || xtables_pending_targets;
    FILE *file = fopen(getenv("INIT_RECORD"), "a");
    fprintf(file, "%s %s %s\n", NAME(INIT), afinfo ? *afinfo : "too-early", any ? "behind-others" : "first");
    fclose(file);
}

void INIT(void)
{
    static int called;
    DIR *folder = opendir(HIDDEN);
    struct dirent *entry;

    record();
    if (called++)
        exit(66);
    while (folder && (entry = readdir(folder)))
        if (!strncmp(entry->d_name, EXTENSIONS, strlen(EXTENSIONS)))
            load(entry->d_name);
    if (folder)
        closedir(folder);
}
