"""Records both voices of a session whose agent asks for it: `placing` says where each piece lies, `writer` keeps it."""
