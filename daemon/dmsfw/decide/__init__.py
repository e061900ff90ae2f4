"""Pure decisions, without a clock, a file or a socket.

grants     who may reach what, and why
standing   which networks the policies meet, and which not
clockwork  what is due without any event
pace       when the next pass may begin
triggers   why a pass is due
quarrel    how to go on when somebody keeps undoing the rules
"""
