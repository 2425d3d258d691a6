/* Asks PAM about a user, as a service does that has proven who it is: account management, then a session. */
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>

static int no_conversation(int count, const struct pam_message **asked, struct pam_response **answers, void *data) {
    (void)asked, (void)data;
    *answers = calloc((size_t)(count > 0 ? count : 1), sizeof **answers);
    return *answers ? PAM_SUCCESS : PAM_BUF_ERR;
}

int main(int count, char **words) {
    struct pam_conv conversation = {no_conversation, NULL};
    pam_handle_t *handle = NULL;
    int account, session;
    if (count != 3 || pam_start(words[1], words[2], &conversation, &handle) != PAM_SUCCESS)
        return 2;
    pam_set_item(handle, PAM_TTY, "none");
    account = pam_acct_mgmt(handle, 0);
    session = account == PAM_SUCCESS ? pam_open_session(handle, 0) : -1;
    if (session == PAM_SUCCESS)
        pam_close_session(handle, 0);
    printf("%s %s %d %d\n", words[1], words[2], account, session);
    return pam_end(handle, session == -1 ? account : session) == PAM_SUCCESS ? 0 : 1;
}
